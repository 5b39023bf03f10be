"""`rk broker`: one node from a `server.properties`, in the foreground, as systemd runs it. Floor 5."""

from __future__ import annotations

from typing import Annotated

import typer


def broker(
    properties: Annotated[
        str, typer.Argument(metavar="SERVER.PROPERTIES", help="The node's settings, with Kafka's keys.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Only read the file: report what is wrong or ignored.")
    ] = False,
) -> int:
    """Run one node in the foreground until SIGTERM or Ctrl-C."""
    if check:
        return _check(properties)
    from raftkafka.node.main import run_broker

    return run_broker(properties)


def _check(path: str) -> int:
    from raftkafka.cli.output import line
    from raftkafka.model.errors import ConfigurationError
    from raftkafka.model.settings.load import load

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text: {error}") from error
    loaded = load(text, source=path)
    for note in loaded.notes:
        line(note)
    line(f"{path}: node {loaded.settings.node_id} can be started with this file")
    return 0
