"""`python -m raftkafka.node server.properties`: one node in the foreground, with nothing loaded that a node does not need."""

from __future__ import annotations

import sys

from raftkafka.node.main import run_broker

USAGE_EXIT = 2


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m raftkafka.node server.properties\n")
        return USAGE_EXIT
    return run_broker(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
