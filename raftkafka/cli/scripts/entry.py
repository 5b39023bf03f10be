"""What the scripts have in common: how one starts, --help, --version, --zookeeper, errors in one line. Floor 5.

Exit codes as Kafka's tools: 0, 1 for everything that failed, wrong usage too, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NoReturn, TypeVar

from raftkafka.cli.ending import complain, guarded, open_standard_streams
from raftkafka.cli.scripts.options import Option, Parsed, Tool, UsageError, help_text, parse

Result = TypeVar("Result")

LOG_FORMAT: Final = "[%(asctime)s] %(levelname)s %(message)s (%(name)s)"
"""As Kafka's tools-log4j.properties."""

_SHARED: Final = (
    Option("help", "Print usage information."),
    Option("version", "Display the version."),
)
ZOOKEEPER: Final = Option("zookeeper", "Not taken: use --bootstrap-server.", "hosts")
BOOTSTRAP_SERVER: Final = Option("bootstrap-server", "REQUIRED: The server(s) to connect to.", "server to connect to")
COMMAND_CONFIG: Final = Option(
    "command-config", "Property file containing configs to be passed to Admin Client.", "config file"
)


def tool(name: str, summary: str, *options: Option, takes_zookeeper: bool = False) -> Tool:
    return Tool(name=name, summary=summary, options=(*options, *_SHARED), takes_zookeeper=takes_zookeeper)


def start(tool: Tool, main: Callable[[Parsed], int]) -> NoReturn:
    """The entry point of a console script: runs it over `sys.argv` and ends the process with its exit code."""
    open_standard_streams()
    sys.exit(run_tool(tool, main, sys.argv[1:]))


def run_tool(tool: Tool, main: Callable[[Parsed], int], arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""

    def work() -> int:
        if not arguments:
            sys.stderr.write(help_text(tool))
            return 1
        try:
            parsed = parse(tool, arguments)
            if parsed.has("help"):
                sys.stdout.write(help_text(tool))
                return 0
            if parsed.has("version"):
                from raftkafka import __version__

                sys.stdout.write(f"raftkafka {__version__}\n")
                return 0
            for word in parsed.others:
                warn(f"'{word}' is not an option and is ignored")
            if not tool.takes_zookeeper:
                refuse_zookeeper(parsed)
            return main(parsed)
        except UsageError as error:
            sys.stderr.write(f"{error} (see: {tool.name} --help)\n")
            return 1

    return guarded(work, complain)


def refuse_zookeeper(parsed: Parsed) -> None:
    """Say what to write instead of --zookeeper; raises UsageError."""
    if parsed.has("zookeeper"):
        raise UsageError(f"{parsed.tool.name} does not take --zookeeper here: {instead_of_zookeeper(parsed)}")


def instead_of_zookeeper(parsed: Parsed) -> str:
    """What to write."""
    hosts = parsed.many("zookeeper")[-1].partition("/")[0].replace(" ", "")
    servers = ",".join(f"{_host_of(host)}:9092" for host in hosts.split(",") if host) or "localhost:9092"
    return f"write --bootstrap-server {servers} in place of --zookeeper {hosts}"


def _host_of(address: str) -> str:
    """`address` without its port, which may be missing."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() else address


def warn(text: str) -> None:
    """One line beside the result, as Kafka's log of tools looks."""
    import time

    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    sys.stderr.write(f"[{stamp},{int(now * 1000) % 1000:03d}] WARN {text}\n")
    sys.stderr.flush()


def run_async(main: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result, on uvloop; what the client warns of goes to stderr in Kafka's form."""
    from raftkafka.cli.session import run

    return run(main, log_format=LOG_FORMAT)
