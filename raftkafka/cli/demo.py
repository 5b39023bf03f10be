"""`rk demo`: three nodes, a real log, one crash, and a comparison of what went in with what came out. Floor 5."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from raftkafka.cli.output import say
from raftkafka.cli.up import stop_on_term


@click.command()
@click.option("--log", type=click.Path(path_type=Path), help="The text to stream; default: the largest log here.")
@click.option(
    "--lines",
    metavar="N",
    type=click.IntRange(1_000, 5_000_000),
    default=200_000,
    show_default=True,
    help="Repeat it up to so many lines.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=".demo",
    show_default=True,
    help="Where the nodes keep their files.",
)
@click.option("--keep", is_flag=True, help="Leave those files behind.")
@click.option("--hold", is_flag=True, help="Leave the nodes running until Ctrl-C, to look around.")
def demo(log: Path | None, lines: int, directory: Path, keep: bool, hold: bool) -> int:
    """Three nodes, a real log, one crash, a check.

    Streams a log through three nodes, kills one of them half way, and compares what went in with what came out.
    """
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
    leave = True
    try:
        equal = Demonstration(directory=here, story=story, hold=hold).run(wanted)
        leave = keep or not equal
    except (KeyboardInterrupt, BrokenPipeError):
        leave = keep
        raise
    finally:
        # What went wrong can be looked into; whoever ends the demonstration, or reads on no more, has seen enough.
        if leave:
            say(f"everything is left in {here}")
        else:
            shutil.rmtree(here)
    return 0 if equal else 1
