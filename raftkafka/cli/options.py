"""Options that several commands share. Floor 5."""

from __future__ import annotations

from typing import Annotated

import typer

BootstrapServer = Annotated[
    str,
    typer.Option(
        "--bootstrap-server",
        envvar="RK_BOOTSTRAP_SERVER",
        metavar="HOST:PORT,...",
        help="Any nodes of the cluster; the others are found through them.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON (documented in docs/cli.md) instead of text.")]
TimeoutMs = Annotated[int, typer.Option("--timeout-ms", min=1, help="Patience with the cluster, in milliseconds.")]

DEFAULT_BOOTSTRAP = "localhost:9092"
DEFAULT_TIMEOUT_MS = 15_000
