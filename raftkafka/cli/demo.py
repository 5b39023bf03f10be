"""`rk demo`: three nodes, a real log, one crash, and a comparison of what went in with what came out. Floor 5."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from raftkafka.cli.output import say
from raftkafka.cli.up import stop_on_term


def demo(
    log: Annotated[
        Path | None, typer.Option("--log", help="The text to stream; default: the largest log here.")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", min=1_000, max=5_000_000, help="Repeat it up to so many lines.")
    ] = 200_000,
    directory: Annotated[Path, typer.Option("--directory", help="Where the nodes keep their files.")] = Path(".demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave those files behind.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Leave the nodes running until Ctrl-C, to look around.")] = False,
) -> int:
    """Stream a log through three nodes, kill one of them half way, and check that nothing is lost."""
    from raftkafka.cli.demo_log import choose, lines_of
    from raftkafka.cli.demo_run import Demonstration
    from raftkafka.cli.progress import Story

    story = Story()
    chosen = choose(log)
    if chosen.note:
        story.tell(chosen.note)
    wanted = lines_of(chosen.path, lines)
    story.tell(f"{len(wanted)} lines of {chosen.path}, repeated where it has fewer")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    here = Path(tempfile.mkdtemp(prefix="run-", dir=directory)).absolute()
    stop_on_term()
    equal = False
    try:
        equal = Demonstration(directory=here, story=story, hold=hold).run(wanted)
    finally:
        if keep or not equal:
            say(f"everything is left in {here}")
        else:
            shutil.rmtree(here)
    return 0 if equal else 1
