"""`rk`: the one command. Floor 5.

Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 interrupted. Everything else is imported when it
is needed: `rk topic list` must not pay for what only a broker needs, and Ctrl-C during an import is no traceback either.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from raftkafka.cli.ending import INTERRUPTED, guarded, open_standard_streams
from raftkafka.cli.output import say

if TYPE_CHECKING:
    import click

WRONG_USAGE: Final = 2


def run() -> None:
    """The entry point: runs the command of `sys.argv` and ends the process with its exit code."""
    open_standard_streams()
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    return guarded(lambda: _invoke(arguments), say)


def _invoke(arguments: list[str]) -> int:
    import click

    from raftkafka.cli.commands import root

    if asked := os.environ.get("_RK_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "rk", "_RK_COMPLETE", asked)
    try:
        # Not `root()`: click would turn a closed pipe into exit code 1 before anybody here could see it.
        with root.make_context("rk", arguments) as context:
            code = root.invoke(context)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _wrong_usage(error)
    except click.Abort:
        return INTERRUPTED


def _wrong_usage(error: click.UsageError) -> int:
    text = error.format_message()
    if text.startswith("Usage:"):
        # No arguments where some are needed: the message is the whole help.
        sys.stderr.write(text + "\n")
        return WRONG_USAGE
    path = error.ctx.command_path if error.ctx is not None else "rk"
    say(f"{' '.join(text.split())} (see: {path} --help)")
    return WRONG_USAGE


if __name__ == "__main__":
    run()
