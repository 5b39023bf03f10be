"""From what a test asks for to nodes that can be launched: their files and settings. Floor 6."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raftkafka.cli.layout import NodePlace, Ports, write_secret
from raftkafka.model.settings.load import load
from raftkafka.node.main import with_secrets
from raftkafka.testing.errors import ClusterError
from raftkafka.testing.in_process import InProcessNodes
from raftkafka.testing.nodes import Nodes
from raftkafka.testing.ports import NodePorts
from raftkafka.testing.processes import ProcessNodes
from raftkafka.testing.properties import node_properties, text_of


def make_nodes(directory: Path, ports: Mapping[int, NodePorts], *, processes: bool, given: Mapping[str, str]) -> Nodes:
    """Nodes with their files below `directory`, an absolute path; none is launched yet.

    Raises:
        ClusterError: the directory has a cluster's files already, or `given` has a key that is not the test's to set.
        ConfigurationError: `given` has a key that does not exist, or a wrong value.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = directory / "cluster.secret"
    if secret.exists():
        raise ClusterError(f"{directory} has the files of another cluster")
    write_secret(secret)
    places = {node_id: _place(node_id, directory, its) for node_id, its in ports.items()}
    for node_id, place in places.items():
        properties = node_properties(
            node_id, ports, directory=place.directory, secret=secret, http=processes, given=given
        )
        place.properties.write_text(text_of(properties), encoding="utf-8")
    # Read here in both forms: a wrong key is told in one line, and before anything has been started.
    settings = {
        node_id: with_secrets(load(place.properties.read_text(encoding="utf-8"), source=str(place.properties)).settings)
        for node_id, place in places.items()
    }
    return ProcessNodes(places) if processes else InProcessNodes(settings)


def _place(node_id: int, directory: Path, ports: NodePorts) -> NodePlace:
    numbers = Ports(ports.client.inside.number, ports.raft.inside.number, ports.http.number)
    return NodePlace(node_id=node_id, directory=directory / f"node-{node_id}", ports=numbers)
