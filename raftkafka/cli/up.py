"""`rk up`: a cluster on this machine, in one line. Floor 5."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from raftkafka.cli.output import line

if TYPE_CHECKING:
    from raftkafka.cli.layout import NodePlace

_READY_TIMEOUT_S: Final = 30.0
_WATCH_S: Final = 0.2


def up(
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=9, help="How many nodes, one process each.")] = 1,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where they keep everything.")] = Path("raftkafka-data"),
    port: Annotated[int, typer.Option("--port", min=1, max=65_000, help="Port of the first node.")] = 9092,
    http_port: Annotated[int, typer.Option("--http-port", min=1, max=65_000, help="The same for /metrics.")] = 9644,
) -> int:
    """Run a cluster on loopback until Ctrl-C: one node in this process, or several as child processes."""
    from raftkafka.cli.layout import consecutive_ports, plan

    # The files of a one-node cluster and of a larger one never mix: they know different voters.
    directory = (data_dir if nodes == 1 else data_dir / f"{nodes}-nodes").absolute()
    places = plan(directory, consecutive_ports(nodes, port, http_port))
    if nodes == 1:
        return _one(places[0].directory.parent, places)
    return _several(directory, places)


def _one(directory: Path, places: Sequence[NodePlace]) -> int:
    from raftkafka.cli.layout import properties_of
    from raftkafka.model.settings.load import load
    from raftkafka.node.main import run_settings

    place = places[0]
    settings = load(properties_of(place, places, directory / "cluster.secret"), source="rk up").settings
    _print_addresses(places)
    sys.stdout.flush()
    return run_settings(settings)


def _several(directory: Path, places: Sequence[NodePlace]) -> int:
    from raftkafka.cli.children import Children, last_words
    from raftkafka.cli.layout import prepare
    from raftkafka.cli.output import say

    prepare(directory, places)
    stop_on_term()
    with Children() as children:
        try:
            for place in places:
                children.start(place)
            children.wait_ready(places, timeout_s=_READY_TIMEOUT_S)
            _print_addresses(places)
            sys.stdout.flush()
            while (dead := children.dead()) is None:
                time.sleep(_WATCH_S)
        except KeyboardInterrupt:
            say("stopping")
            return 0
        say(f"node {dead.node_id} ended: {last_words(dead)}; stopping the others")
    return 1


def _print_addresses(places: Sequence[NodePlace]) -> None:
    for place in places:
        line(f"node {place.node_id}: {place.address}, metrics {place.metrics_url}, files {place.directory}")
    line(f"try: rk topic create logs --bootstrap-server {places[0].address}   (Ctrl-C stops)")


def stop_on_term() -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that it can stop its children."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
