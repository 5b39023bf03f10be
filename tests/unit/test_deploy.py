"""What lies in deploy/ works as it stands: settings load, units pass systemd's own check."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raftkafka.model.settings.load import load

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("node_id", [1, 2, 3])
def test_the_sample_settings_load_without_a_note(node_id: int) -> None:
    name = f"server-{node_id}.properties"
    loaded = load((DEPLOY / name).read_text(encoding="utf-8"), source=name)
    assert loaded.notes == ()
    assert loaded.settings.node_id == node_id
    assert len(loaded.settings.voters) == 3


def test_the_samples_share_one_cluster_and_nothing_else() -> None:
    settings = [
        load((DEPLOY / f"server-{number}.properties").read_text(encoding="utf-8"), source="").settings
        for number in (1, 2, 3)
    ]
    assert len({each.voters for each in settings}) == 1
    assert len({each.cluster_secret_file for each in settings}) == 1
    assert len({each.log_dirs for each in settings}) == 3
    ports = [listener.port for each in settings for listener in each.listeners]
    ports += [each.http_listener.port for each in settings if each.http_listener]
    ports += [voter.port for voter in settings[0].voters]
    assert len(set(ports)) == len(ports) == 9


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    # The check wants programs that exist; the paths of the real installation do not exist here.
    service = (DEPLOY / "raftkafka@.service").read_text(encoding="utf-8")
    assert service.count("/opt/raftkafka/bin/rk ") == 2
    (tmp_path / "raftkafka@.service").write_text(service.replace("/opt/raftkafka/bin/rk", sys.executable))
    shutil.copy(DEPLOY / "raftkafka.target", tmp_path)
    checked = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            str(tmp_path / "raftkafka@1.service"),
            str(tmp_path / "raftkafka.target"),
        ],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        timeout=60,
        check=False,
    )
    # Other units of the machine may have faults of their own; only ours count.
    ours = [line for line in checked.stderr.splitlines() if "raftkafka" in line]
    assert ours == []
    assert checked.returncode == 0, checked.stderr
