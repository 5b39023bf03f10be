"""`rk`: the one command. Floor 5.

Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 interrupted. A command's own imports happen when
it runs: `rk topic list` must not pay for what only a broker needs.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final, cast

import typer

from raftkafka import __version__
from raftkafka.cli import broker, cluster, consume, demo, produce, topic, up
from raftkafka.cli.output import line, say
from raftkafka.model.errors import ApiError, RaftKafkaError

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

# Click's UsageError, by the only name that typer exports on every version: newer ones carry their own copy of click.
_UsageError: Final[type[Exception]] = cast("type[Exception]", typer.BadParameter.__base__)

app = typer.Typer(
    name="rk",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="raftkafka: a Kafka-style distributed log without ZooKeeper.",
)
app.command("up")(up.up)
app.command("broker")(broker.broker)
app.add_typer(topic.app, name="topic")
app.command("produce")(produce.produce)
app.command("consume")(consume.consume)
app.add_typer(cluster.app, name="cluster")
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        line(f"raftkafka {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options before the command."""


def run() -> None:
    """The entry point: runs the command of `sys.argv` and ends the process with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        # Not `app()`: click would turn a closed pipe into exit code 1 before anybody here could see it.
        command = typer.main.get_command(app)
        with command.make_context("rk", arguments) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.Exit as end:
        sys.stdout.flush()
        return end.exit_code
    except _UsageError as error:
        return _wrong_usage(error)
    except ApiError as error:
        say(f"{error.code.name}: {error.message}" if error.message != error.code.name else error.message)
        return FAILED
    except RaftKafkaError as error:
        say(str(error))
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return FAILED


def _wrong_usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    format_message = getattr(error, "format_message", None)
    text = format_message() if callable(format_message) else str(error)
    if text.startswith("Usage:"):
        # No arguments where some are needed: the message is the whole help.
        sys.stderr.write(text + "\n")
        return WRONG_USAGE
    path = context.command_path if context is not None else "rk"
    say(f"{' '.join(text.split())} (see: {path} --help)")
    return WRONG_USAGE


if __name__ == "__main__":
    run()
