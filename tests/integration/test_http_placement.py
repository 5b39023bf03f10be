"""Over HTTP: who leads and holds what, how that came, and preferred leaders that lead again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from raftkafka.client import Admin, ConfigResource, ElectionType, TopicPartition
from raftkafka.model.api.configs import AlterableConfig, ConfigSource, ResourceType
from tests.clusters import eventually
from tests.http_client import Browser

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def test_the_map_an_election_and_the_timeline(cluster: Cluster) -> None:
    await cluster.create_topic("t", replicas=2)
    async with Admin(cluster.bootstrap) as admin:

        async def lies_on(*replicas: int) -> None:
            await admin.alter_partition_reassignments({TopicPartition("t", 0): list(replicas)})

            async def there() -> bool:
                return not await admin.list_partition_reassignments()

            await eventually(there, f"t-0 lies on {replicas}")
            await cluster.wait_isr_full("t")

        await lies_on(1, 2)
        await admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition("t", 0)])
        await lies_on(2, 1)
    browser = await asyncio.to_thread(Browser, cluster, 1)

    async def mapped() -> Any:
        return await browser.get("/partition-map?topic=T")

    async def applied() -> bool:
        [partition] = (await mapped())["partitions"]
        return bool(partition["replicas"] == [2, 1] and partition["leader"] == 1)

    await eventually(applied, "node 1 has applied the move")
    found = await mapped()
    assert found["total"] == 1
    assert [
        (each["id"], each["leaders"], each["preferred_leaders"], each["replicas"]) for each in found["brokers"]
    ] == [
        (1, 1, 0, 1),
        (2, 0, 1, 1),
        (3, 0, 0, 0),
    ]
    assert found["skew"] == {"leaders": 2.0, "replicas": 0.5}

    before_ms = (await browser.get("/timeline?topic=t"))["last_ms"]
    elected = await browser.change("POST", "/elections/preferred", {"partitions": [{"topic": "t", "partition": 0}]})
    assert elected == {"results": [{"topic": "t", "partition": 0, "error": None}]}
    nowhere = {"partitions": [{"topic": "none", "partition": 7}]}
    assert (await browser.ask("POST", "/elections/preferred", nowhere))[0] == 404

    async def led_by_2() -> bool:
        return bool((await mapped())["partitions"][0]["leader"] == 2)

    await eventually(led_by_2, "the preferred leader leads")
    line = await browser.get("/timeline?topic=t")
    last = line["events"][-1]
    assert (last["cause"], last["node_id"], last["leader"]) == ("preferred_election", 2, 2)
    assert "broker 2 leads" in last["text"]
    assert line["first_ms"] == line["events"][0]["time_ms"] <= before_ms
    assert [each["time_ms"] for each in line["events"]] == sorted(each["time_ms"] for each in line["events"])
    assert len((await browser.get("/timeline?topic=t&limit=1"))["events"]) == 1
    assert (await browser.get(f"/timeline?topic=t&to_ms={line['first_ms'] - 1}"))["events"] == []

    [now] = (await browser.get(f"/timeline/state?at_ms={line['last_ms']}&topic=t"))["partitions"]
    assert (now["leader"], now["since_ms"], now["cause"]) == (2, last["time_ms"], "preferred_election")
    [then] = (await browser.get(f"/timeline/state?at_ms={last['time_ms'] - 1}&topic=t"))["partitions"]
    assert then["leader"] == 1
    assert (await browser.get(f"/timeline/state?at_ms={line['first_ms'] - 1}&topic=t"))["partitions"] == []

    told = await browser.get("/topics/t/partitions/0/history")
    assert told["events"][-1]["cause"] == "preferred_election"
    assert "the preferred leader, broker 2, was elected" in "\n".join(told["sentences"])
    for path in ("/topics/t/partitions/1/history", "/topics/none/partitions/0/history"):
        assert (await browser.ask("GET", path))[0] == 404
    assert (await browser.ask("GET", "/timeline/state"))[0] == 400


async def test_a_limit_goes_with_the_moves_it_was_set_for(cluster: Cluster) -> None:
    browser = await asyncio.to_thread(Browser, cluster, 1)
    await browser.change("POST", "/topics", {"name": "t", "partitions": 1, "replication_factor": 1})
    await browser.change("POST", "/topics/t/messages", {"value": "x" * 500_000})
    (here,) = (await browser.get("/topics/t"))["partitions"][0]["replicas"]
    there = here % 3 + 1

    async def limits() -> list[str]:
        """Names of all that are set: of the topic, and of all brokers."""
        async with Admin(cluster.bootstrap) as admin:
            wanted = [ConfigResource(ResourceType.TOPIC, "t")]
            wanted += [ConfigResource(ResourceType.BROKER, str(node)) for node in cluster.node_ids]
            found = await admin.describe_configs(wanted)
        own = (ConfigSource.DYNAMIC_TOPIC_CONFIG, ConfigSource.DYNAMIC_BROKER_CONFIG)
        return [one.name for each in found.values() for one in each if "throttled" in one.name and one.source in own]

    async def nothing_is_left() -> bool:
        """Whichever node answers: the image of one may be behind that of the node that was asked."""
        return not await limits()

    async def move(to: int, rate: int) -> None:
        wanted = [{"topic": "t", "partition": 0, "replicas": [to]}]
        await browser.change("POST", "/reassignments", {"assignments": wanted, "throttle_bytes_per_s": rate})

    async def is_free() -> bool:
        found = await browser.get("/reassignments")
        return not found["partitions"] and found["throttle_bytes_per_s"] is None

    # One byte in a second: it does not end while somebody looks.
    await move(there, 1)
    found = await browser.get("/reassignments")
    assert [each["adding"] for each in found["partitions"]] == [[there]]
    assert found["throttle_bytes_per_s"] == 1

    async def is_limited() -> bool:
        return len(await limits()) == 2 + 2 * 2

    await eventually(is_limited, "both replicas and both brokers are limited")
    assert await browser.change("DELETE", "/reassignments", {}) == {"cancelled": 1}
    await eventually(is_free, "the limit goes with the move that was cancelled")
    await eventually(nothing_is_left, "no limit is left")

    await move(there, 100_000_000)
    await eventually(is_free, "the limit goes when the move has ended")
    await eventually(nothing_is_left, "no limit is left")
    assert (await browser.get("/topics/t"))["partitions"][0]["replicas"] == [there]

    async with Admin(cluster.bootstrap) as admin:
        rate = AlterableConfig(name="leader.replication.throttled.rate", value="5")
        await admin.alter_configs({ConfigResource(ResourceType.BROKER, str(there)): [rate]})

    async def is_seen() -> bool:
        return (await browser.get("/reassignments"))["throttle_bytes_per_s"] == 5

    await eventually(is_seen, "a limit that somebody else set is shown")
    await browser.change("DELETE", "/reassignments/throttle")
    assert (await browser.get("/reassignments"))["throttle_bytes_per_s"] is None
    await eventually(nothing_is_left, "no limit is left")
