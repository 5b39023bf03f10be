"""`rk broker`: one node from a `server.properties`, in the foreground, as systemd runs it. Floor 5."""

from __future__ import annotations

import os

import click


@click.command()
@click.argument("properties", metavar="SERVER.PROPERTIES")
@click.option("--check", is_flag=True, help="Only read the file: report what is wrong or ignored.")
@click.option("--with-parent", type=int, hidden=True, help="Stop when the process of this id is gone.")
def broker(properties: str, check: bool, with_parent: int | None) -> int:
    """Run one node in the foreground.

    Its settings are in SERVER.PROPERTIES, with Kafka's keys. It runs until SIGTERM or Ctrl-C. Settings that cannot be used
    end it with exit code 78.
    """
    if check:
        return _check(properties)
    if with_parent is not None:
        # Whoever waits for messages at this socket waits for the parent's.
        os.environ.pop("NOTIFY_SOCKET", None)
        from raftkafka.cli.parent import stop_with_parent

        stop_with_parent(with_parent)
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
