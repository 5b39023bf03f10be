"""`rk consume`: records of a topic, as lines. Floor 5."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from raftkafka.cli.options import CONNECT_TIMEOUT_MS_MAX, bootstrap_option, json_option, timeout_option


@click.command()
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="Start at the first record kept.")
@click.option("--offset", metavar="N", type=click.IntRange(min=0), help="Start at this offset; needs --partition.")
@click.option(
    "--timestamp", metavar="N", type=click.IntRange(min=0), help="Start at this time, in milliseconds since the epoch."
)
@click.option("--partition", metavar="N", type=click.IntRange(min=0), help="Only this partition; default: all.")
@click.option("--group", metavar="GROUP", help="Share the topic with this group's members, and go on where it stopped.")
@click.option("--max-messages", metavar="N", type=click.IntRange(min=1), help="End after so many.")
@click.option("--until-end", is_flag=True, help="End at what was the end when the command started.")
@click.option(
    "--format",
    type=click.Choice(("value", "offset", "json")),
    default="value",
    show_default=True,
    help="Per record: its value; partition, offset and value with tabs between; or a JSON document.",
)
@click.option(
    "--template",
    metavar="TEXT",
    help="In place of --format: TEXT for each record, with {topic}, {partition}, {offset}, {timestamp}, {time}, {key}, {value} "
    "and {headers} filled in; \\n is a line feed.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@bootstrap_option
@timeout_option
@json_option
def consume(
    topic: str,
    from_beginning: bool,
    offset: int | None,
    timestamp: int | None,
    partition: int | None,
    group: str | None,
    max_messages: int | None,
    until_end: bool,
    format: str,
    template: str | None,
    output: Path | None,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
) -> int:
    """Print records of a topic as they come.

    Without a start option only new ones. Ctrl-C ends it. With --group the start is where the group has stopped; --from-beginning
    says where one begins that has committed nothing. What was printed is committed every 5 s and at the end.
    """
    if sum((from_beginning, offset is not None, timestamp is not None)) > 1:
        raise click.BadParameter("choose one of --from-beginning, --offset and --timestamp", param_hint="--offset")
    if offset is not None and partition is None:
        raise click.BadParameter("an offset is a place in one partition: name it", param_hint="--partition")
    if group is not None and (offset is not None or timestamp is not None or partition is not None or until_end):
        raise click.BadParameter(
            "partitions and offsets are the group's business; see `rk group reset-offsets`", param_hint="--group"
        )
    if template is not None and (json or format != "value"):
        raise click.BadParameter("choose one of --template, --format and --json", param_hint="--template")
    from raftkafka.cli import forms
    from raftkafka.cli.group_reading import GroupReading
    from raftkafka.cli.reading import Reading
    from raftkafka.cli.session import run
    from raftkafka.client.consumer import Consumer

    try:
        filled = None if template is None else forms.template(template)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--template") from None
    consumer = Consumer(
        bootstrap_server,
        client_id="rk-consume",
        # A start that was named must be met exactly; only "new records" may be chosen by the client itself.
        auto_offset_reset="none" if offset is not None else "earliest" if from_beginning else "latest",
        default_api_timeout_ms=timeout_ms,
        connect_timeout_ms=min(timeout_ms, CONNECT_TIMEOUT_MS_MAX),
        # A typing error must be told, not become a topic.
        allow_auto_create_topics=False,
        group_id=group,
    )
    form = "json" if json else format
    reading = (
        GroupReading(
            consumer,
            topic=topic,
            max_messages=max_messages,
            form=form,
            template=filled,
            waiting_for=(bootstrap_server, timeout_ms),
        )
        if group is not None
        else Reading(
            consumer,
            topic=topic,
            only_partition=partition,
            from_beginning=from_beginning,
            offset=offset,
            timestamp=timestamp,
            max_messages=max_messages,
            until_end=until_end,
            form=form,
            template=filled,
            waiting_for=(bootstrap_server, timeout_ms),
        )
    )
    try:
        run(reading.to(output))
    except KeyboardInterrupt:
        # The only way to end a command that follows a topic is no failure.
        sys.stdout.flush()
    return 0
