"""Clusters on this machine: their files are valid settings, their secret is nobody else's business."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from raftkafka.cli.layout import HOST, consecutive_ports, free_ports, plan, port_in_use, prepare, properties_of
from raftkafka.model.settings.load import load


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_the_written_settings_load(nodes: int, tmp_path: Path) -> None:
    places = plan(tmp_path / "c", free_ports(nodes))
    prepare(tmp_path / "c", places)
    for place in places:
        settings = load(place.properties.read_text(encoding="utf-8"), source="p").settings
        assert settings.node_id == place.node_id
        assert settings.log_dirs == (place.directory,)
        assert len(settings.voters) == (nodes if nodes > 1 else 0)
        assert settings.log.min_insync_replicas <= settings.default_replication_factor <= nodes


def test_the_secret_is_private_and_stays(tmp_path: Path) -> None:
    places = plan(tmp_path / "c", free_ports(3))
    prepare(tmp_path / "c", places)
    secret = tmp_path / "c" / "cluster.secret"
    first = secret.read_text()
    assert len(first.strip()) == 64
    assert secret.stat().st_mode & 0o777 == 0o600
    prepare(tmp_path / "c", places)
    assert secret.read_text() == first


def test_ports_are_distinct() -> None:
    for ports in (free_ports(3), consecutive_ports(9, 9092, 9644)):
        flat = [port for some in ports for port in some]
        assert len(set(flat)) == len(flat)


def test_a_path_with_odd_characters_survives(tmp_path: Path) -> None:
    directory = tmp_path / "a b\\c=d:e#f"
    [place] = plan(directory, free_ports(1))
    settings = load(properties_of(place, [place], directory / "s"), source="p").settings
    assert settings.log_dirs == (place.directory,)


def test_a_port_in_use_is_found(tmp_path: Path) -> None:
    places = plan(tmp_path, free_ports(2))
    assert port_in_use(places) is None
    with socket.create_server((HOST, places[1].ports.raft)):
        assert port_in_use(places) == places[1].ports.raft
