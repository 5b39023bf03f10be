"""Every node of a cluster under test gets valid settings, and the test's own keys go first."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings.load import load
from raftkafka.testing.errors import ClusterError
from raftkafka.testing.making import make_nodes
from raftkafka.testing.ports import NodePorts
from raftkafka.testing.properties import node_properties, text_of


@pytest.fixture(params=[1, 2, 3, 5])
def ports(request):
    made = {node_id: NodePorts.of(gated=request.param > 1) for node_id in range(1, request.param + 1)}
    yield made
    for each in made.values():
        each.release()


def properties(ports, node_id: int = 1, given: dict[str, str] | None = None) -> dict[str, str]:
    return node_properties(
        node_id,
        ports,
        directory=Path("/tmp/with \\ and space"),
        secret=Path("/tmp/secret"),
        http=False,
        given=given or {},
    )


def test_the_settings_load_and_name_the_gates(ports) -> None:
    for node_id, own in ports.items():
        settings = load(text_of(properties(ports, node_id)), source="p").settings
        assert settings.node_id == node_id
        assert settings.log_dirs == (Path("/tmp/with \\ and space"),)
        assert settings.http_listener is None
        assert settings.listeners[0].port == own.client.inside.number
        assert settings.advertised_listeners[0].port == own.client.outside.number
        assert len(settings.voters) == (len(ports) if len(ports) > 1 else 0)
        if len(ports) > 1:
            assert [each.port for each in settings.voters] == [each.raft.outside.number for each in ports.values()]
            assert settings.controller_listener is not None
            assert settings.controller_listener.port == own.raft.inside.number
        assert settings.log.min_insync_replicas <= settings.default_replication_factor <= len(ports)


def test_what_the_test_says_goes_first(ports) -> None:
    found = properties(ports, given={"min.insync.replicas": "1", "num.partitions": "7"})
    assert (found["min.insync.replicas"], found["num.partitions"]) == ("1", "7")


@pytest.mark.parametrize("key", ["listeners", "broker.id", "node.id", "log.dirs", "controller.quorum.voters"])
def test_where_a_node_lives_is_not_for_the_test_to_say(ports, key: str) -> None:
    with pytest.raises(ClusterError, match=f"^{key} is set by the cluster itself$"):
        properties(ports, given={key: "1"})


@pytest.mark.parametrize("processes", [False, True])
def test_a_wrong_key_is_told_before_anything_starts(ports, tmp_path: Path, processes: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'log.retention.huors'; did you mean"):
        make_nodes(tmp_path / "c", ports, processes=processes, given={"log.retention.huors": "1"})


def test_a_directory_serves_one_cluster(ports, tmp_path: Path) -> None:
    make_nodes(tmp_path / "c", ports, processes=False, given={})
    with pytest.raises(ClusterError, match="has the files of another cluster"):
        make_nodes(tmp_path / "c", ports, processes=False, given={})
