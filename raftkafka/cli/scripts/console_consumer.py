"""`kafka-console-consumer.sh`: records of topics become lines of stdout. Floor 5."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, ZOOKEEPER, start, tool, warn
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

TOOL: Final = tool(
    "kafka-console-consumer.sh",
    "This tool helps to read data from Kafka topics and outputs it to standard output.",
    BOOTSTRAP_SERVER,
    ZOOKEEPER,
    Option("topic", "The topic to consume on.", "topic"),
    Option("include", "Regular expression: the topics to consume on.", "regex"),
    Option("whitelist", "The older name of --include, which goes first.", "regex"),
    Option("partition", "The partition to consume from, from its end unless --offset is given.", "partition"),
    Option("offset", "A number, 'earliest' or 'latest' (default).", "consume offset"),
    Option("from-beginning", "Start with the first message that is there."),
    Option("max-messages", "The number of messages after which to end.", "num_messages"),
    Option("timeout-ms", "End when no message has come for so many milliseconds.", "timeout_ms"),
    Option("formatter", "Only Kafka's DefaultMessageFormatter, the default, is known.", "class"),
    Option("property", "A property of the formatter: print.key, print.timestamp, ...", "key=value"),
    Option("formatter-config", "Property file for the formatter; --property goes before it.", "config file"),
    Option("key-deserializer", "String, ByteArray, Short, Integer or Long.", "class"),
    Option("value-deserializer", "String, ByteArray, Short, Integer or Long.", "class"),
    Option("skip-message-on-error", "Leave out a message that cannot be shown, rather than end."),
    Option("consumer-property", "A property of the consumer.", "key=value"),
    Option("consumer.config", "Property file for the consumer; --consumer-property goes before it.", "config file"),
    Option("isolation-level", "read_uncommitted (default) or read_committed.", "level"),
    Option("group", "The consumer group id.", "group"),
    Option("enable-systest-events", "Accepted and ignored."),
)

_RESETS: Final = ("earliest", "latest")


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    """Print until enough was printed, or somebody ends it; the exit code."""
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.cli.scripts.following import Following
    from raftkafka.cli.scripts.formatter import KEYS, formatter_of
    from raftkafka.cli.scripts.settings import arguments_for, read_file, words
    from raftkafka.client.consumer import Consumer

    include = parsed.text("include") or parsed.text("whitelist")
    _check(parsed, include)
    shown = read_file(parsed.text("formatter-config")) | words(parsed.many("property"))
    for name in ("key", "value"):
        if text := parsed.text(f"{name}-deserializer"):
            shown.setdefault(f"{name}.deserializer", text)
    for key in shown:
        if key not in KEYS:
            warn(f"The property '{key}' was supplied but isn't a known one of the formatter.")
    properties = read_file(parsed.text("consumer.config")) | words(parsed.many("consumer-property"))
    if parsed.has("from-beginning") and properties.get("auto.offset.reset", "earliest") != "earliest":
        raise UsageError(
            "Can't simultaneously specify --from-beginning and "
            f"'auto.offset.reset={properties['auto.offset.reset']}', please remove one option"
        )
    group = _group(parsed, properties)
    if group is not None:
        properties["group.id"] = group
    if level := parsed.text("isolation-level"):
        properties["isolation.level"] = level
    properties = {
        "client.id": "console-consumer",
        "auto.offset.reset": "earliest" if parsed.has("from-beginning") else "latest",
        "allow.auto.create.topics": "true",
        **properties,
    }
    offset = parsed.text("offset")
    following = Following(
        Consumer(parsed.needed("bootstrap-server"), **arguments_for(Consumer, properties)),
        servers=parsed.needed("bootstrap-server"),
        topic=parsed.text("topic"),
        include=include,
        partition=parsed.number("partition"),
        start="earliest" if offset is None and parsed.has("from-beginning") else offset,
        max_messages=parsed.number("max-messages"),
        timeout_ms=parsed.number("timeout-ms"),
        formatter=formatter_of(shown),
        skips_errors=parsed.has("skip-message-on-error"),
        in_group=group is not None,
    )
    try:
        return run_async(following.run())
    finally:
        sys.stderr.write(f"Processed a total of {following.count} messages\n")


def _check(parsed: Parsed, include: str | None) -> None:
    """As ConsoleConsumerOptions.checkRequiredArgs; raises UsageError."""
    if (parsed.text("topic") is None) == (include is None):
        raise UsageError("Exactly one of --include/--topic is required.")
    if parsed.has("partition"):
        if not parsed.has("topic"):
            raise UsageError("The topic is required when partition is specified.")
        if parsed.has("from-beginning") and parsed.has("offset"):
            raise UsageError("Options from-beginning and offset cannot be specified together.")
        if (parsed.number("partition") or 0) < 0:
            raise UsageError(f"Invalid partition {parsed.text('partition')}")
    elif parsed.has("offset"):
        raise UsageError("The partition is required when offset is specified.")
    offset = parsed.text("offset")
    if offset is not None and offset.lower() not in _RESETS and not offset.isdecimal():
        raise UsageError(
            f"The provided offset value '{offset}' is incorrect. Valid values are 'earliest', 'latest', "
            "or a non-negative long."
        )
    if parsed.text("isolation-level") not in {None, "read_committed", "read_uncommitted"}:
        raise UsageError("isolation-level is read_committed or read_uncommitted")
    if "DefaultMessageFormatter" not in (parsed.text("formatter") or "DefaultMessageFormatter"):
        raise UsageError(f"formatter {parsed.text('formatter')} cannot be had: only DefaultMessageFormatter is known")
    parsed.check_required("bootstrap-server")


def _group(parsed: Parsed, properties: dict[str, str]) -> str | None:
    named = [each for each in (parsed.text("group"), properties.get("group.id")) if each is not None]
    if len(set(named)) > 1:
        raise UsageError(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via "
            f"'--consumer.config') do not match. Detected group ids: {', '.join(repr(each) for each in named)}"
        )
    if named and parsed.has("partition"):
        raise UsageError("Options group and partition cannot be specified together.")
    return named[0] if named else None
