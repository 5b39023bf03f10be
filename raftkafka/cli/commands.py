"""All commands of `rk`, listed once; a command's module is imported when the command is asked for. Floor 5."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from raftkafka import __version__

COMMANDS: Final = (
    "up",
    "broker",
    "topic",
    "produce",
    "consume",
    "group",
    "config",
    "lint",
    "log",
    "why",
    "reassign",
    "cluster",
    "restore",
    "bench",
    "demo",
    "completion",
    "man",
)
"""Each is a module of this package, and the command in it of the same name."""


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"raftkafka.cli.{cmd_name}"), cmd_name)
        return command


@click.group(
    cls=_Root,
    no_args_is_help=True,
    context_settings={"max_content_width": 110},
    help="raftkafka: a Kafka-style distributed log without ZooKeeper.",
)
@click.version_option(__version__, "--version", message="raftkafka %(version)s")
def root() -> None:
    """Options before the command."""
