"""The record codec alone, without a network: what one client process can encode and decode at most."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from benchmarks.figures import Figure
from benchmarks.scenarios.plan import Plan
from raftkafka.record.build import RecordFields, encode_records, encode_values
from raftkafka.record.iterate import decode_records, decode_values

BATCH_BYTES = 128 << 10
TIME_MS = 1_700_000_000_000


async def run(plan: Plan) -> list[Figure]:
    figures = []
    for size in (100, 1024):
        count = BATCH_BYTES // (size + 10)
        equal = [os.urandom(size) for _ in range(count)]
        mixed = [value[: size - at % 20] for at, value in enumerate(equal)]
        keyed: list[RecordFields] = [(b"key %d" % at, value, TIME_MS + at % 50, ()) for at, value in enumerate(mixed)]
        batches = {
            "values of one size": bytes(encode_values(equal, timestamp_ms=TIME_MS)),
            "values of many sizes": bytes(encode_values(mixed, timestamp_ms=TIME_MS)),
        }
        figures += [
            _rate(
                plan, f"encode {size} B, values of one size", count, lambda v=equal: encode_values(v, timestamp_ms=1)
            ),
            _rate(
                plan, f"encode {size} B, values of many sizes", count, lambda v=mixed: encode_values(v, timestamp_ms=1)
            ),
            _rate(plan, f"encode {size} B, keyed records", count, lambda r=keyed: encode_records(r)),
        ]
        for what, batch in batches.items():
            figures.append(_rate(plan, f"decode {size} B, {what}", count, lambda b=batch: decode_values(b)))
        batch = bytes(encode_records(keyed))
        figures.append(_rate(plan, f"decode {size} B, keyed records", count, lambda b=batch: decode_records(b)))
    return figures


def _rate(plan: Plan, name: str, count: int, one_batch: Callable[[], object]) -> Figure:
    """Records per second; each run works for a tenth of a second at least, so that one pause does not decide."""
    figure = Figure(name=name, unit="records/s")
    for _ in range(plan.runs):
        batches = 0
        began = time.perf_counter()
        while (elapsed_s := time.perf_counter() - began) < 0.1:
            one_batch()
            batches += 1
        figure.runs.append(count * batches / elapsed_s)
    return figure
