"""Counts frames and times answers, of one connection or of all. Floor 4."""

from __future__ import annotations

from raftkafka.model.zookeeper.status import TrafficStatus


class Traffic:
    __slots__ = ("_answered", "_last_s", "_max_s", "_min_s", "_sum_s", "received", "sent")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received = self.sent = 0
        self._answered = 0
        self._min_s = self._max_s = self._sum_s = self._last_s = 0.0

    def answered(self, seconds: float) -> None:
        self._min_s = seconds if not self._answered else min(self._min_s, seconds)
        self._max_s = max(self._max_s, seconds)
        self._sum_s += seconds
        self._last_s = seconds
        self._answered += 1

    def status(self, *, outstanding: int) -> TrafficStatus:
        return TrafficStatus(
            received=self.received,
            sent=self.sent,
            outstanding=outstanding,
            latency_min_ms=self._min_s * 1000,
            latency_avg_ms=self._sum_s * 1000 / self._answered if self._answered else 0.0,
            latency_max_ms=self._max_s * 1000,
            latency_last_ms=self._last_s * 1000,
        )
