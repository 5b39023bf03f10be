"""The numbers of rk bench."""

from __future__ import annotations

from raftkafka.cli.bench_run import summary, throughput


def test_percentiles() -> None:
    found = summary([float(each) for each in range(1000, 0, -1)])
    assert found == {
        "records": 1000, "p50_ms": 500.0, "p95_ms": 950.0, "p99_ms": 990.0, "p999_ms": 999.0, "max_ms": 1000.0,
    }  # fmt: skip
    assert summary([7.0])["p50_ms"] == summary([7.0])["p999_ms"] == 7.0


def test_throughput() -> None:
    assert throughput(500, 1_000_000, 0.5) == {
        "records": 500, "bytes": 1_000_000, "seconds": 0.5, "records_per_second": 1000, "mb_per_second": 2.0,
    }  # fmt: skip
    assert throughput(0, 0, 0.0)["records_per_second"] == 0
