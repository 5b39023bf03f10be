"""`rk up`: a cluster on this machine, in one line. Floor 5."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from raftkafka.cli.output import line, say

if TYPE_CHECKING:
    from raftkafka.cli.layout import NodePlace

_READY_TIMEOUT_S: Final = 30.0
_WATCH_S: Final = 0.2
_PORT: Final = click.IntRange(1, 65_000)


@click.command()
@click.option(
    "--nodes",
    metavar="N",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="How many nodes, one process each.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="raftkafka-data",
    show_default=True,
    help="Where they keep everything.",
)
@click.option("--port", metavar="N", type=_PORT, default=9092, show_default=True, help="Port of the first node.")
@click.option("--http-port", metavar="N", type=_PORT, default=9644, show_default=True, help="The same for /metrics.")
def up(nodes: int, data_dir: Path, port: int, http_port: int) -> int:
    """Run a cluster on loopback until Ctrl-C, a process per node."""
    from raftkafka.cli.children import Children, last_words
    from raftkafka.cli.layout import consecutive_ports, plan, port_in_use, prepare
    from raftkafka.model.errors import StartupError

    # The files of a one-node cluster and of a larger one never mix: they know different voters.
    directory = (data_dir if nodes == 1 else data_dir / f"{nodes}-nodes").absolute()
    places = plan(directory, consecutive_ports(nodes, port, http_port))
    # Asked before anything is started: else whoever listens there would pass for our node when it answers that it is ready.
    if (taken := port_in_use(places)) is not None:
        raise StartupError(f"port {taken} is in use; choose others with --port and --http-port")
    prepare(directory, places)
    stop_on_term()
    with Children() as children:
        try:
            for place in places:
                children.start(place)
            children.wait_ready(places, timeout_s=_READY_TIMEOUT_S, tell=say)
            _print_addresses(places)
            while (dead := children.dead()) is None:
                time.sleep(_WATCH_S)
        except KeyboardInterrupt:
            say("stopping")
            return 0
        say(f"node {dead.node_id} ended: {last_words(dead)}" + ("; stopping the others" if nodes > 1 else ""))
    return 1


def _print_addresses(places: Sequence[NodePlace]) -> None:
    for place in places:
        line(f"node {place.node_id} is ready: {place.address}, metrics {place.metrics_url}, log {place.log}")
    where = "" if places[0].ports.client == 9092 else f" --bootstrap-server {places[0].address}"
    line(f"try: rk topic create logs{where}   (Ctrl-C stops)")
    sys.stdout.flush()


def stop_on_term() -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that it can stop its children."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
