"""`zookeeper-server-start.sh [-daemon] zookeeper.properties`: explains that there is nothing to start. Floor 5."""

from __future__ import annotations

import sys
from typing import NoReturn

from raftkafka.cli.ending import complain, guarded, open_standard_streams

_NAME = "zookeeper-server-start.sh"


def run() -> NoReturn:
    open_standard_streams()
    sys.exit(guarded(lambda: main(sys.argv[1:]), complain))


def main(arguments: list[str]) -> int:
    """Exit code 0, so that whatever starts ZooKeeper before Kafka goes on to Kafka."""
    if not arguments:
        sys.stdout.write(f"USAGE: {_NAME} [-daemon] zookeeper.properties\n")
        return 1
    sys.stdout.write(
        "There is no ZooKeeper to start: every raftkafka node keeps the cluster's metadata itself, replicated by Raft.\n"
        "Go on with kafka-server-start.sh; the nodes name each other in controller.quorum.voters.\n"
    )
    return 0
