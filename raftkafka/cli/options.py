"""Options that several commands share. Floor 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

DEFAULT_BOOTSTRAP: Final = "localhost:9092"
DEFAULT_TIMEOUT_MS: Final = 15_000
CONNECT_TIMEOUT_MS_MAX: Final = 5_000

Command = TypeVar("Command", bound=Callable[..., Any])


def bootstrap_option(command: Command) -> Command:
    """`bootstrap_server`: host:port, comma separated."""
    return click.option(
        "--bootstrap-server",
        envvar="RK_BOOTSTRAP_SERVER",
        metavar="HOST:PORT,...",
        default=DEFAULT_BOOTSTRAP,
        show_default=True,
        show_envvar=True,
        help="Any nodes of the cluster; the others are found through them.",
    )(command)


def timeout_option(command: Command) -> Command:
    """`timeout_ms`: milliseconds, at least 1."""
    return click.option(
        "--timeout-ms",
        metavar="N",
        type=click.IntRange(min=1),
        default=DEFAULT_TIMEOUT_MS,
        show_default=True,
        help="Patience with the cluster, in milliseconds.",
    )(command)


def json_option(command: Command) -> Command:
    """`json`: a flag."""
    return click.option("--json", is_flag=True, help="Print JSON (documented in docs/cli.md) instead of text.")(command)
