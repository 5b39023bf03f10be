"""`rk`: the one command. Floor 5.

Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 interrupted. Everything else is imported when it
is needed: `rk topic list` must not pay for what only a broker needs, and Ctrl-C during an import is no traceback either.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from raftkafka.cli.output import say, sentence

if TYPE_CHECKING:
    import click

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130


def run() -> None:
    """The entry point: runs the command of `sys.argv` and ends the process with its exit code."""
    _open_standard_streams()
    sys.exit(main(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Give descriptors 0 to 2 to the null device where the caller has closed them.

    The next file or socket would get such a number otherwise, and be written to by `print` or refused by libuv.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # typeshed knows nothing of closed streams; Python has None in their place.
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def main(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        from raftkafka.model.errors import RaftKafkaError

        try:
            code = _invoke(arguments)
            sys.stdout.flush()
            return code
        except RaftKafkaError as error:
            say(sentence(error))
            return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        return FAILED


def _invoke(arguments: list[str]) -> int:
    import click

    from raftkafka.cli.commands import root

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
