"""The real Prometheus scrapes three nodes by the configuration and the rules in ops/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raftkafka.cli.layout import HOST
from tests.prometheus_server import Prometheus, shortened, why_no_prometheus

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def prometheus(cluster: Cluster, tmp_path: Path) -> Iterator[Prometheus]:
    if (reason := why_no_prometheus()) is not None:
        pytest.skip(reason)
    targets = [f"{HOST}:{place.ports.http}" for place in cluster.places]
    server = Prometheus(tmp_path / "prometheus", targets, cluster.more_ports().http)
    yield server
    server.close()


async def test_three_nodes_are_scraped_and_a_dead_one_is_told_of(cluster: Cluster, prometheus: Prometheus) -> None:
    await cluster.create_topic("t")
    await prometheus.start()

    async def all_up() -> bool:
        return len(await prometheus.query('up{job="raftkafka"} == 1')) == 3

    async def is_recorded() -> bool:
        return len(await prometheus.query("abs(raftkafka:clock_offset:seconds) < 60")) == 3

    async def is_calm() -> bool:
        # A machine that is too busy may be told of; that something is broken may not.
        alerts = [alert for some in (await prometheus.alerts()).values() for alert in some]
        return not [alert for alert in alerts if alert["labels"]["severity"] == "critical"]

    async def fires() -> Any:
        alerts = (await prometheus.firing()).get("RaftKafkaNodeDown", [])
        return next((each for each in alerts if each["labels"]["instance"] == dead), None)

    dead = f"{HOST}:{cluster.place(3).ports.http}"
    await cluster.eventually(all_up, "three targets are up")
    await cluster.eventually(is_recorded, "the recording rules have been evaluated")
    await cluster.eventually(is_calm, "nothing is wrong with a healthy cluster")
    (leader,) = await prometheus.query("raftkafka_raft_is_leader == 1")
    assert leader[0]["cluster"] == "main"
    cluster.kill(3)
    alert = await cluster.eventually(fires, "the alert fires")
    assert alert["labels"]["severity"] == "critical"
    assert dead in alert["annotations"]["summary"]
    was_pending = (
        f'count_over_time(ALERTS{{alertname="RaftKafkaNodeDown", alertstate="pending", instance="{dead}"}}[5m])'
    )
    assert await prometheus.query(was_pending), "it fires only after a while"
    assert not await prometheus.unhealthy_rules()
    cluster.start(3)

    async def is_over() -> bool:
        return await fires() is None

    await cluster.eventually(is_over, "the alert is over")


def test_short_rules_differ_in_their_times_only() -> None:
    rules = "      - alert: X\n        expr: rate(a[5m]) > 5 and deriv(b[1h]) > 0\n        for: 10m\n"
    assert (
        shortened(rules) == "      - alert: X\n        expr: rate(a[15s]) > 5 and deriv(b[30s]) > 0\n        for: 2s\n"
    )
