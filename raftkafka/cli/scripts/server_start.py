"""`kafka-server-start.sh [-daemon] server.properties [--override property=value]*`: one node, as `rk broker` runs it. Floor 5."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from raftkafka.cli.ending import complain, guarded, open_standard_streams

_NAME: Final = "kafka-server-start.sh"
_MODULE: Final = "raftkafka.cli.scripts.server_start"
USAGE: Final = f"USAGE: {_NAME} [-daemon] server.properties [--override property=value]*"


def run() -> NoReturn:
    open_standard_streams()
    sys.exit(guarded(lambda: main(sys.argv[1:]), complain))


def main(arguments: Sequence[str]) -> int:
    """Run the node until SIGTERM or Ctrl-C, or start it in the background; the exit code."""
    daemon = arguments[:1] == ["-daemon"]
    words = arguments[1:] if daemon else arguments
    if words == ["--help"]:
        sys.stdout.write(USAGE + "\n")
        return 0
    if words == ["--version"]:
        from raftkafka import __version__

        sys.stdout.write(f"raftkafka {__version__}\n")
        return 0
    overrides = _overrides(words[1:])
    if not words or words[0].startswith("-") or overrides is None:
        sys.stderr.write(USAGE + "\n")
        return 1
    from raftkafka.node.main import CONFIGURATION_EXIT, load_settings, run_broker

    if daemon:
        # Nobody sees what a process in the background says of its settings: look at them before.
        load_settings(words[0], overrides)
        return _in_background(words)

    code = run_broker(words[0], overrides=overrides)
    return 1 if code == CONFIGURATION_EXIT else code  # Kafka's script knows no other


def _overrides(words: Sequence[str]) -> dict[str, str] | None:
    """The keys and values of `--override k=v` words, None where they are something else."""
    found: dict[str, str] = {}
    left = list(reversed(words))
    while left:
        option, equals, pair = left.pop().partition("=")
        if option != "--override" or not (equals or left):
            return None
        key, equals, value = (pair if equals else left.pop()).partition("=")
        if not equals or not key.strip():
            return None
        found[key.strip()] = value.strip()
    return found


def _in_background(words: Sequence[str]) -> int:
    """As kafka-run-class.sh does it: detached from the terminal, what it says goes to $LOG_DIR/kafkaServer.out."""
    import subprocess

    directory = os.environ.get("LOG_DIR") or "logs"
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "kafkaServer.out")
    with open(path, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    sys.stderr.write(f"{_NAME}: process {process.pid} runs in the background, its log is {path}\n")
    return 0


if __name__ == "__main__":
    run()
