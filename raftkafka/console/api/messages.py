"""Messages: browse, look one up, follow, produce. Floor 4."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal

from starlette.types import ASGIApp

from raftkafka.client.consumer import Consumer
from raftkafka.client.types import TopicPartition
from raftkafka.console.api.contents import Message, message, shown_bytes, taken
from raftkafka.console.api.errors import HttpError, bad_request, refused_by, unknown_partition
from raftkafka.console.api.routes import INT32_MAX, Call, EventStream, NoQuery, Route
from raftkafka.console.api.schema import INT64_MAX, Range, Says, Size, as_json
from raftkafka.console.context import Context
from raftkafka.console.reading import TIME_MAX_S, Budget, Filter, Reading
from raftkafka.console.streams import Event
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE

MESSAGES_MAX: Final = 500
ANSWER_BYTES_MAX: Final = 4 << 20
FOLLOW_FETCH_BYTES: Final = 256 << 10
FOLLOW_ROUND: Final = 100
"""So many messages, then a pause: a page reads no faster, and the node has other work."""
FOLLOW_PAUSE_S: Final = 0.25
BEHIND_MAX: Final = 1_000
"""A page that is further behind is taken to the end."""
_CHECK_S: Final = 1.0
_PARTS: Final = frozenset({"key", "value", "headers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuery:
    partition: Annotated[str, Size(1, 10), Says("a number, or all")] = "all"
    from_: Annotated[
        str,
        Size(1, 8_000),
        Says(
            "earliest, latest, offset:N, timestamp:MS, or next:0:17,1:4 with what the last answer said. Backwards: from that "
            "offset down, from before that time, below those offsets"
        ),
    ] = "earliest"
    limit: Annotated[int, Range(1, MESSAGES_MAX)] = 50
    search: Annotated[str, Size(0, 1_000), Says("found in any case of ASCII letters")] = ""
    in_: Annotated[str, Size(1, 30), Says("where to search: key,value,headers or some of them")] = "key,value,headers"
    key: Annotated[str | None, Size(0, 1_000), Says("the whole key")] = None
    backward: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """In the order of their times; backwards the newest first. `end_reached`: there are no more, at the moment."""

    messages: tuple[Message, ...]
    next: Annotated[Mapping[str, int], Says("where each partition goes on: from=next:PARTITION:OFFSET,...")]
    scanned: int
    end_reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowQuery:
    partition: Annotated[str, Size(1, 10), Says("a number, or all")] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    partition: Annotated[int | None, Range(0, INT32_MAX), Says("null: by the key, else any")] = None
    key: str | None = None
    value: Annotated[str | None, Says("null is a tombstone")] = None
    headers: Annotated[tuple[tuple[str, str | None], ...], Size(0, 1_000)] = ()
    encoding: Annotated[Literal["text", "base64"], Says("of key, value and the values of headers")] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    partition: int
    offset: int
    timestamp_ms: int


async def browse_messages(call: Call[MessagesQuery, None]) -> Messages:
    context, query = call.context, call.query
    topic = call.path["topic"]
    wanted = _filter(query)
    given = _given(query.from_)
    partitions = _partitions(context, topic, query.partition)
    if isinstance(given, dict):
        partitions = [each for each in partitions if each.partition in given]
        for number in given:
            context.partition(topic, number)
    budget = Budget(
        records=query.limit,
        answer_bytes=ANSWER_BYTES_MAX,
        until=asyncio.get_running_loop().time() + TIME_MAX_S,
    )
    async with context.clients.reader() as consumer:
        earliest = await consumer.beginning_offsets(partitions)
        latest = await consumer.end_offsets(partitions)
        starts = await _starts(consumer, given, earliest, latest, backward=query.backward)
        reading = Reading(consumer, wanted=wanted, budget=budget, shown=shown_bytes)
        if query.backward:
            places = await reading.backward(starts, earliest)
            end_reached = all(place <= earliest[each] for each, place in places.items())
        else:
            places = await reading.forward(starts, latest)
            end_reached = all(place >= latest[each] for each, place in places.items())
    budget.found.sort(
        key=lambda each: (each[1].timestamp_ms, each[0].partition, each[1].offset), reverse=query.backward
    )
    return Messages(
        messages=tuple([message(partition.partition, record) for partition, record in budget.found]),
        next={str(each.partition): place for each, place in sorted(places.items())},
        scanned=budget.scanned,
        end_reached=end_reached,
    )


async def get_message(call: Call[NoQuery, None]) -> Message:
    context, offset = call.context, call.path["offset"]
    topic, number = call.path["topic"], call.path["partition"]
    (partition,) = _partitions(context, topic, str(number))
    nothing = HttpError(
        HTTPStatus.NOT_FOUND, ErrorCode.OFFSET_OUT_OF_RANGE.name, f"there is no message {offset} in {partition}"
    )
    async with context.clients.reader() as consumer:
        earliest = await consumer.beginning_offsets([partition])
        latest = await consumer.end_offsets([partition])
        if not earliest[partition] <= offset < latest[partition]:
            raise nothing
        consumer.assign([partition])
        consumer.seek(partition, offset)
        async with asyncio.timeout(TIME_MAX_S):
            while True:
                records = (await consumer.poll(250, 1)).get(partition)
                if records:
                    break
                if await consumer.position(partition) > offset:
                    raise nothing
    if records[0].offset != offset:
        raise nothing
    return message(number, records[0], None)


async def follow_messages(call: Call[FollowQuery, None]) -> ASGIApp:
    context = call.context
    partitions = _partitions(context, call.path["topic"], call.query.partition)

    async def events() -> AsyncIterator[Event | None]:
        async with context.clients.consumer(FOLLOW_FETCH_BYTES) as consumer:
            consumer.assign(partitions)
            consumer.seek_to_end()
            yield None
            loop = asyncio.get_running_loop()
            checked = loop.time()
            while True:
                polled = await consumer.poll(500, FOLLOW_ROUND)
                for partition, records in polled.items():
                    for record in records:
                        yield "message", as_json(message(partition.partition, record))
                if not polled:
                    yield None
                    continue
                await asyncio.sleep(FOLLOW_PAUSE_S)
                if loop.time() - checked >= _CHECK_S:
                    checked = loop.time()
                    skipped = await _skip(consumer, partitions)
                    if skipped:
                        yield "skipped", {"count": skipped}

    return context.streams.of(events)


async def produce_message(call: Call[NoQuery, NewMessage]) -> Written:
    context, new = call.context, call.body
    topic = call.path["topic"]
    context.topic(topic)
    if new.partition is not None:
        context.partition(topic, new.partition)
    headers = [
        (name, taken(value, new.encoding, f"body.headers[{at}][1]")) for at, (name, value) in enumerate(new.headers)
    ]
    key, value = taken(new.key, new.encoding, "body.key"), taken(new.value, new.encoding, "body.value")
    producer = await context.clients.producer()
    written = await producer.send(topic, value, key=key, partition=new.partition, headers=headers)
    return Written(partition=written.partition, offset=written.offset, timestamp_ms=written.timestamp_ms)


async def _skip(consumer: Consumer, partitions: list[TopicPartition]) -> int:
    """Go to near the end where the page is too far behind; how many messages it does not see."""
    places = {each: await consumer.position(each) for each in partitions}
    ends = await consumer.end_offsets(partitions)
    if sum(ends[each] - places[each] for each in partitions) <= BEHIND_MAX:
        return 0
    left = FOLLOW_ROUND // len(partitions)
    skipped = 0
    for each in partitions:
        to = max(places[each], ends[each] - left)
        if to > places[each]:
            consumer.seek(each, to)
            skipped += to - places[each]
    return skipped


Given = Literal["earliest", "latest"] | tuple[Literal["offset", "timestamp"], int] | dict[int, int]


def _given(text: str) -> Given:
    """What `from` says."""
    if text == "earliest":
        return "earliest"
    if text == "latest":
        return "latest"
    word, _, rest = text.partition(":")
    if word == "offset" and _is_number(rest):
        return ("offset", int(rest))
    if word == "timestamp" and _is_number(rest):
        return ("timestamp", int(rest))
    if word == "next":
        places: dict[int, int] = {}
        for part in rest.split(","):
            number, colon, offset = part.partition(":")
            if not colon or not _is_number(number) or not _is_number(offset) or int(number) in places:
                break
            places[int(number)] = int(offset)
        else:
            return places
    raise bad_request("query.from: has to be earliest, latest, offset:N, timestamp:MS or next:PARTITION:OFFSET,...")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= INT64_MAX


async def _starts(
    consumer: Consumer,
    given: Given,
    earliest: Mapping[TopicPartition, int],
    latest: Mapping[TopicPartition, int],
    *,
    backward: bool,
) -> dict[TopicPartition, int]:
    """The first offset to read, or backwards that below which to read."""
    wanted: dict[TopicPartition, int]
    if given == "earliest":
        wanted = dict(earliest)
    elif given == "latest":
        wanted = dict(latest)
    elif isinstance(given, dict):
        wanted = {each: given[each.partition] for each in earliest}
    else:
        kind, number = given
        if kind == "offset":
            wanted = dict.fromkeys(earliest, number + 1 if backward else number)
        else:
            found = await consumer.offsets_for_times(dict.fromkeys(earliest, number))
            wanted = {each: latest[each] if place is None else place.offset for each, place in found.items()}
    return {each: min(max(place, earliest[each]), latest[each]) for each, place in wanted.items()}


def _filter(query: MessagesQuery) -> Filter:
    parts = set(query.in_.split(","))
    if not parts <= _PARTS:
        raise bad_request("query.in: has to be key, value, headers, or some of them with commas between")
    return Filter(
        search=query.search.encode().lower() or None,
        in_key="key" in parts,
        in_value="value" in parts,
        in_headers="headers" in parts,
        key=None if query.key is None else query.key.encode(),
    )


def _partitions(context: Context, name: str, which: str) -> list[TopicPartition]:
    """Those that somebody leads."""
    topic = context.topic(name)
    if which == "all":
        led = [TopicPartition(name, each.index) for each in topic.partitions if each.leader != NO_NODE]
        if not led:
            raise refused_by(ErrorCode.LEADER_NOT_AVAILABLE, f"no partition of {name} has a leader")
        return led
    if not _is_number(which):
        raise bad_request("query.partition: has to be a number or all")
    partition = topic.partition(int(which))
    if partition is None:
        raise unknown_partition(name, int(which))
    if partition.leader == NO_NODE:
        raise refused_by(ErrorCode.LEADER_NOT_AVAILABLE, f"{name}-{which} has no leader")
    return [TopicPartition(name, int(which))]


ROUTES: Final = (
    Route(
        method="GET",
        path="/topics/{topic}/messages",
        summary="Read and search messages; at most 10,000 or 20 MB of them are looked at in one request",
        handler=browse_messages,
        query=MessagesQuery,
        answer=Messages,
    ),
    Route(
        method="GET",
        path="/topics/{topic}/partitions/{partition}/messages/{offset}",
        summary="One whole message",
        handler=get_message,
        answer=Message,
    ),
    Route(
        method="GET",
        path="/topics/{topic}/follow",
        summary="New messages as they come: `message`, and `skipped` where there are too many",
        handler=follow_messages,
        query=FollowQuery,
        answer=EventStream,
    ),
    Route(
        method="POST",
        path="/topics/{topic}/messages",
        summary="Produce one message",
        handler=produce_message,
        body=NewMessage,
        answer=Written,
        status=HTTPStatus.CREATED,
    ),
)
