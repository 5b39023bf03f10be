"""Voters that are replaced at run time, on real processes: the last of the old ones may go, and the cluster goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Admin, ApiError
from raftkafka.model.errors import ErrorCode
from tests.integration.test_observers import only_three_vote

if TYPE_CHECKING:
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


async def test_an_observer_takes_the_place_of_the_controller(new_cluster: Callable[..., Cluster]) -> None:
    cluster = new_cluster(4)
    lines = cluster.place(4).properties.read_text().splitlines()
    voters = next(line.partition("=")[2] for line in lines if line.startswith("controller.quorum.voters="))
    only_three_vote(cluster)
    host, _, port = voters.split(",")[3].partition("@")[2].rpartition(":")
    cluster.configure(4, {"controller.listener": f"CONTROLLER://{host}:{port}"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=4, replicas=3)
    async with cluster.load("t", 4) as load, Admin(cluster.bootstrap) as admin:
        await load.more(50)
        await admin.add_voter(4, host, int(port))
        assert [each.node_id for each in (await admin.describe_quorum()).voters] == [1, 2, 3, 4]
        old = await cluster.controller()
        await admin.remove_voter(old)

        async def another() -> bool:
            quorum = await admin.describe_quorum()
            return quorum.leader_id not in (-1, old) and old not in [each.node_id for each in quorum.voters]

        await cluster.eventually(another, "another controller is elected")
        with pytest.raises(ApiError) as refused:
            await admin.remove_voter(old)
        assert refused.value.code is ErrorCode.VOTER_NOT_FOUND
        # The one without a vote may be gone for good: the others are a majority.
        cluster.kill(old)
        await load.more(50)
        await load.end()
    await load.assert_nothing_lost(cluster)
    # What the settings say of the voters is overruled by the log, also after a restart of all.
    rest = [node_id for node_id in cluster.node_ids if node_id != old]
    cluster.kill(*rest)
    cluster.start(*rest)
    await cluster.ready(*rest)
    async with Admin(cluster.bootstrap) as admin:
        assert [each.node_id for each in (await admin.describe_quorum()).voters] == rest


async def test_the_feature_level_is_shown_and_cannot_be_raised_beyond_what_brokers_know(cluster: Cluster) -> None:
    async with Admin(cluster.bootstrap) as admin:
        assert (await admin.describe_cluster()).feature_level == 1
        assert await admin.update_features({"metadata.version": 1}) == 1
        with pytest.raises(ApiError, match="the controller knows the levels 1 to 1, not 2") as refused:
            await admin.update_features({"metadata.version": 2})
        assert refused.value.code is ErrorCode.FEATURE_UPDATE_FAILED
