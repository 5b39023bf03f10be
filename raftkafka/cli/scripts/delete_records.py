"""`kafka-delete-records.sh`: delete what lies below an offset. Floor 5.

As with Kafka, a partition that was refused is named beside the others; the exit code is then 1, where Kafka says 0.
"""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, COMMAND_CONFIG, start, tool
from raftkafka.cli.scripts.options import Option, Parsed

TOOL: Final = tool(
    "kafka-delete-records.sh",
    "This tool helps to delete records of the given partitions down to the specified offset.",
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    Option(
        "offset-json-file",
        'REQUIRED: The JSON file with offset per partition: {"partitions": [{"topic": "foo", "partition": 1, '
        '"offset": 1}], "version":1}',
        "path",
    ),
)


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.moves import parse_offsets
    from raftkafka.cli.scripts import json_file
    from raftkafka.cli.scripts.admin import admin_of
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.errors import ApiError

    parsed.check_required("bootstrap-server", "offset-json-file")
    offsets = json_file.read(parsed.needed("offset-json-file"), parse_offsets)

    async def delete() -> int:
        failed = 0
        async with admin_of(parsed) as admin:
            sys.stdout.write("Executing records delete operation\nRecords delete operation completed:\n")
            for partition, offset in offsets.items():
                # One by one: a request for all of them ends with the first that is refused.
                try:
                    [low_watermark] = (await admin.delete_records({partition: offset})).values()
                except ApiError as error:
                    failed = 1
                    sys.stdout.write(f"partition: {partition}\terror: {error}\n")
                else:
                    sys.stdout.write(f"partition: {partition}\tlow_watermark: {low_watermark}\n")
        return failed

    return run_async(delete())
