"""The setting reaches all connections of a node, its own to others included; they share what is learned about the loop."""

from __future__ import annotations

import pytest

from raftkafka.testing import Cluster


@pytest.mark.parametrize(("given", "seconds"), [({}, 200e-6), ({"socket.busy.poll.us": "70"}, 70e-6)])
async def test_a_node_polls_for_what_was_given(given, seconds):
    async with Cluster(nodes=1, properties=given) as cluster:
        parts = cluster._of_nodes._running[1].node.parts
        polls = {id(server._surroundings.busy_poll) for server in parts.servers} | {id(parts.peers._busy_poll)}
        assert len(polls) == 1
        assert parts.peers._busy_poll._max_s == pytest.approx(seconds)


async def test_a_node_does_not_poll_where_it_is_switched_off():
    async with Cluster(nodes=1, properties={"socket.busy.poll.us": "0"}) as cluster:
        parts = cluster._of_nodes._running[1].node.parts
        assert parts.peers._busy_poll is None
        assert all(server._surroundings.busy_poll is None for server in parts.servers)
