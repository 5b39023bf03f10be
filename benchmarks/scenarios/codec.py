"""The record codecs alone, without a network: what one client process can encode and decode at most."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from benchmarks.codecs import CODECS, using
from benchmarks.figures import Figure
from benchmarks.scenarios.plan import Plan
from raftkafka.record.build import RecordFields, encode_records, encode_values
from raftkafka.record.iterate import decode_records, decode_values

BATCH_BYTES = 128 << 10
TIME_MS = 1_700_000_000_000
PROMISED_IN_BATCHES = 5_000_000
PROMISED_BY_CALLS = 1_500_000


async def run(plan: Plan) -> list[Figure]:
    """Both codecs. What the compiled one promises are records of 100 B: whole batches, and a call per record."""
    figures = []
    for codec in CODECS:
        with using(codec):
            for size in (100, 1024):
                figures += _of_size(plan, codec, size, promised=codec == "compiled" and size == 100)
    return figures


def _of_size(plan: Plan, codec: str, size: int, *, promised: bool) -> list[Figure]:
    count = BATCH_BYTES // (size + 10)
    equal = [os.urandom(size) for _ in range(count)]
    mixed = [value[: size - at % 20] for at, value in enumerate(equal)]
    keyed: list[RecordFields] = [(b"key %d" % at, value, TIME_MS + at % 50, ()) for at, value in enumerate(mixed)]
    equal_batch = bytes(encode_values(equal, timestamp_ms=TIME_MS))
    mixed_batch = bytes(encode_values(mixed, timestamp_ms=TIME_MS))
    keyed_batch = bytes(encode_records(keyed))

    def encode_by_calls() -> None:
        records: list[RecordFields] = []
        take = records.append
        for value in equal:
            take((None, value, TIME_MS, ()))
        encode_records(records)

    def decode_by_calls() -> None:
        following = iter(decode_records(equal_batch)).__next__
        for _ in range(count):
            following()

    by_calls = PROMISED_BY_CALLS if promised else None
    in_batches = PROMISED_IN_BATCHES if promised else None
    return [
        _rate(plan, f"{codec}: {what} {size} B, {form}", count, one_batch, target)
        for what, form, one_batch, target in (
            ("encode", "values of one size", lambda: encode_values(equal, timestamp_ms=1), in_batches),
            ("encode", "values of many sizes", lambda: encode_values(mixed, timestamp_ms=1), in_batches),
            ("encode", "keyed records", lambda: encode_records(keyed), None),
            ("encode", "a call per record", encode_by_calls, by_calls),
            ("decode", "values of one size", lambda: decode_values(equal_batch), in_batches),
            ("decode", "values of many sizes", lambda: decode_values(mixed_batch), in_batches),
            ("decode", "keyed records", lambda: decode_records(keyed_batch), None),
            ("decode", "a call per record", decode_by_calls, by_calls),
        )
    ]


def _rate(plan: Plan, name: str, count: int, one_batch: Callable[[], object], target: float | None) -> Figure:
    """Records per second; each run works for a tenth of a second at least, so that one pause does not decide."""
    figure = Figure(name=name, unit="records/s", target=target)
    for _ in range(plan.runs):
        batches = 0
        began = time.perf_counter()
        while (elapsed_s := time.perf_counter() - began) < 0.1:
            one_batch()
            batches += 1
        figure.runs.append(count * batches / elapsed_s)
    return figure
