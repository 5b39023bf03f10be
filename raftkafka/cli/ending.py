"""How a command line begins and ends, whichever it is: its streams, its exit code, one line for what went wrong. Floor 5."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

FAILED: Final = 1
INTERRUPTED: Final = 130


def open_standard_streams() -> None:
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


def complain(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def guarded(work: Callable[[], int], tell: Callable[[str], None]) -> int:
    """The exit code of `work`; what it raises for somebody to mend is given to `tell` in one line."""
    try:
        from raftkafka.model.errors import RaftKafkaError

        try:
            code = work()
            sys.stdout.flush()
            return code
        except RaftKafkaError as error:
            from raftkafka.cli.output import sentence

            tell(sentence(error))
            return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        tell(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        return FAILED
