"""`rk log`: look into segment files, check them, and take over those of Kafka. Floor 5.

But for `adopt`, nothing is written, and no node has to run. A segment that a node writes to at the moment may end in the middle of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from raftkafka.cli.options import json_option


@click.group(no_args_is_help=True)
def log() -> None:
    """Look into the files of partition logs, or take over those of Kafka."""


@log.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--deep", is_flag=True, help="Show the records, too.")
@click.option("--offset", metavar="N", type=click.IntRange(min=0), help="Begin with the batch that has this offset.")
@click.option("--max-batches", metavar="N", type=click.IntRange(min=1), help="End after so many.")
@json_option
def dump(files: Sequence[str], deep: bool, offset: int | None, max_batches: int | None, json: bool) -> int:
    """Show what stands in segment files.

    FILE ends in .log, .index or .timeindex. Batches are shown as Kafka's kafka-dump-log shows them. Exit code 1 where a batch is damaged.
    """
    from raftkafka.cli.segments import Dump

    sound = True
    for path in files:
        # Also what comes behind a damaged file is shown.
        sound = Dump(path, deep=deep, offset=offset, most=max_batches, json=json).show() and sound
    return int(not sound)


@log.command()
@click.argument("paths", metavar="FILE|DIRECTORY...", nargs=-1, required=True)
@click.option("--deep", is_flag=True, help="Read the records, too: that decompresses everything.")
@json_option
def verify(paths: Sequence[str], deep: bool, json: bool) -> int:
    """Check segments: batches, offsets, checksums, and the indexes beside them.

    Of a directory, every segment in it. Exit code 0: all of it is sound; 1: something is not, and a line says what and where.
    """
    from raftkafka.cli.output import as_json, line
    from raftkafka.cli.segments import segments_of, verified

    checked = [verified(path, deep=deep) for named in paths for path in segments_of(named)]
    problems = [problem for each in checked for problem in each.problems]
    if json:
        as_json(
            {
                "segments": [
                    {"file": each.path, "batches": each.batches, "records": each.records, "bytes": each.bytes}
                    for each in checked
                ],
                "problems": [{"file": file, "position": position, "text": text} for file, position, text in problems],
            }
        )
        return int(bool(problems))
    for file, position, text in problems:
        line(f"{file}: {text}" if position is None else f"{file}: at {position}: {text}")
    for each in checked:
        if not each.problems:
            line(f"{each.path}: sound, {each.batches} batches, {each.records} records, {each.bytes} bytes")
    return int(bool(problems))


@log.command()
@click.argument("properties", metavar="SERVER.PROPERTIES")
@click.argument("directories", metavar="DIRECTORY...", nargs=-1, required=True)
def adopt(properties: str, directories: Sequence[str]) -> int:
    """Take over partitions of a Kafka broker, with their offsets, into empty ones of this node.

    DIRECTORY is one of Kafka's log.dirs/TOPIC-NUMBER; neither Kafka nor the node may run. Partitions that have no replica on this
    node are left out. Logs with transactions are refused, as is whatever is damaged.
    """
    import asyncio

    from raftkafka.cli.output import line
    from raftkafka.node.adopting import adopt as adopt_logs
    from raftkafka.node.main import load_settings

    for each in asyncio.run(adopt_logs(load_settings(properties), directories)):
        if each.path is None:
            line(f"{each.partition}: no replica here")
        else:
            line(f"{each.partition}: offsets {each.first_offset} to {each.next_offset}, {each.batches} batches")
    return 0
