"""What `rk consume --group` does: print what this member of the group gets. Floor 5.

A record counts as read once it was written: a write that fails, or is interrupted, leaves its batch to the next member.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from raftkafka.cli.forms import FORMS, Form
from raftkafka.cli.reading import known_partitions, writing_to
from raftkafka.client.consumer import Consumer
from raftkafka.client.types import TopicPartition

_POLL_MS: Final = 500
_RECORDS_PER_POLL: Final = 5_000

Part = tuple[TopicPartition, int, Sequence[Any]]
"""Partition, offset of the first item, items: values or records."""


class GroupReading:
    """One run over `consumer`, which it starts and stops. `waiting_for` is the bootstrap servers and the patience in ms."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        topic: str,
        max_messages: int | None,
        form: str,
        template: Form | None = None,
        waiting_for: tuple[str, int],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._left = max_messages
        self._form: Form = template or FORMS[form]
        self._whole_records = template is not None or form == "json"
        self._waiting_for = waiting_for

    async def to(self, output: Path | None) -> None:
        """Write to the file, or to stdout.

        Raises:
            ApiError: the group does not take this consumer.
            OSError: the output cannot be written; BrokenPipeError when its reader has enough.
        """
        async with writing_to(output) as write, self._consumer:
            await known_partitions(self._consumer, self._topic, self._waiting_for)
            self._consumer.subscribe([self._topic])
            while self._left != 0:
                for each, first, items in await self._next():
                    await write(self._form(each, first, items))
                    if self._left is not None:
                        self._left -= len(items)

    async def _next(self) -> list[Part]:
        if self._left is None and not self._whole_records:
            return [
                (each.topic_partition, each.first_offset, each.values)
                for each in await self._consumer.poll_values(_POLL_MS)
            ]
        limit = _RECORDS_PER_POLL if self._left is None else min(self._left, _RECORDS_PER_POLL)
        polled = await self._consumer.poll(_POLL_MS, limit)
        return [
            (each, records[0].offset, records if self._whole_records else [record.value for record in records])
            for each, records in polled.items()
        ]
