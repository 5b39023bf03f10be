"""Real nodes on loopback: ports, files, restarts, and hostile bytes."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import shutil
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from raftkafka.adapters.disk import OsDisk
from raftkafka.adapters.raft.consensus import RaftConsensus
from raftkafka.model import cbor
from raftkafka.model.errors import ApiError, DiskFullError, ErrorCode, StartupError, StorageError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import ControllerSettings, Listener, Voter
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError, RaftVoter
from raftkafka.ports.probe import NullProbe
from raftkafka.wire.node_auth import NodeAuthClient

SECRET = b"the secret of this test"


class Machine:
    def __init__(self):
        self.log = []

    def apply(self, index, command):
        self.log.append(command)
        return index, command

    def snapshot(self):
        return [cbor.encode(self.log)]

    def restore(self, index, snapshot):
        self.log = cbor.decode(snapshot, size_max=1 << 20)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, directory, count):
        self.directory = directory
        self.disk = OsDisk()
        self.voters = tuple(
            Voter(node_id=NodeId(number), host="127.0.0.1", port=port)
            for number, port in enumerate(free_ports(count), start=1)
        )
        self.nodes = {}
        self.machines = {}
        self.fatal = []

    def make(self, node_id, *, secret=SECRET, settings=None, cluster_id="", listening=False):
        self.machines[node_id] = Machine()
        return RaftConsensus(
            node_id=NodeId(node_id),
            cluster_secret=secret,
            voters=self.voters,
            listen=Listener(name="CONTROLLER", host="127.0.0.1", port=0) if listening else None,
            settings=settings or ControllerSettings(snapshot_min_entries=30),
            directory=str(self.directory / str(node_id)),
            disk=self.disk,
            machine=self.machines[node_id],
            probe=NullProbe(),
            random=Random(),
            cluster_id=lambda: cluster_id,
            on_fatal=self.fatal.append,
        )

    async def start(self, node_id, **kwargs):
        self.nodes[node_id] = self.make(node_id, **kwargs)
        await self.nodes[node_id].start()
        return self.nodes[node_id]

    async def leader(self, timeout_s=10.0):
        async with asyncio.timeout(timeout_s):
            while True:
                for node in self.nodes.values():
                    if node.is_leader and node.waiting_for is None:
                        return node
                await asyncio.sleep(0.002)

    async def stop(self, node_id):
        await self.nodes.pop(node_id).stop()


@asynccontextmanager
async def cluster_of(directory, count, *, started=True):
    cluster = Cluster(directory, count)
    try:
        for node_id in range(1, count + 1):
            if started:
                await cluster.start(node_id)
        yield cluster
    finally:
        for node_id in list(cluster.nodes):
            await cluster.stop(node_id)
        cluster.disk.close()
    assert cluster.fatal == []


async def until(condition, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_single_node_needs_no_listener_and_keeps_its_state(tmp_path):
    cluster = Cluster(tmp_path, 0)
    for life in range(3):
        node = await cluster.start(1)
        leader = await cluster.leader()
        assert leader is node
        assert node.port is None
        assert await node.propose(b"%d" % life, timeout_s=5) == (node.applied_index, b"%d" % life)
        for number in range(40):
            await node.propose(b"%d-%d" % (life, number), timeout_s=5)
        assert len(cluster.machines[1].log) == 41 * (life + 1)
        await cluster.stop(1)
    cluster.disk.close()


async def test_three_nodes_replicate_and_outlive_their_leader(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        with pytest.raises(NotLeaderError):
            await next(n for n in cluster.nodes.values() if n is not leader).propose(b"no", timeout_s=1)
        for number in range(50):
            await leader.propose(b"%d" % number, timeout_s=5)
        old = leader.node_id
        await cluster.stop(old)
        leader = await cluster.leader()
        await leader.propose(b"after", timeout_s=5)
        await cluster.start(old)
        await until(lambda: cluster.machines[old].log == cluster.machines[leader.node_id].log)
        assert cluster.machines[old].log[-1] == b"after"
        assert len(cluster.machines[old].log) == 51


async def test_commands_of_the_largest_size_pass(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        largest = os.urandom(1 << 20)
        await asyncio.gather(*(leader.propose(largest, timeout_s=20) for _ in range(6)))
        await until(lambda: all(machine.log == [largest] * 6 for machine in cluster.machines.values()))
        with pytest.raises(ValueError, match="exceeds the limit"):
            await leader.propose(largest + b"x", timeout_s=1)


async def test_a_port_in_use_is_named(tmp_path):
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        port = cluster.voters[0].port
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(StartupError, match=f"controller port {port} on 127.0.0.1 is in use"),
        ):
            await cluster.make(1).start()
        await cluster.start(1)


async def test_an_observer_follows_without_a_vote_and_returns_with_what_it_had(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        for number in range(60):
            await leader.propose(b"%d" % number, timeout_s=5)
        observer = await cluster.start(7)
        await until(lambda: cluster.machines[7].log == cluster.machines[leader.node_id].log)
        assert (observer.port, observer.leader_id, observer.waiting_for) == (None, leader.node_id, None)
        assert [state.node_id for state in leader.voters()] == [1, 2, 3]
        await until(lambda: [state.match_index for state in leader.observers()] == [leader.commit_index])
        assert [(state.node_id, state.connected) for state in leader.observers()] == [(7, True)]
        for node_id in [each for each in (1, 2, 3) if each != leader.node_id]:
            await cluster.stop(node_id)
        # Two voters and an observer are left of three voters: the observer makes no majority.
        await until(lambda: not leader.is_leader)
        await until(lambda: "connected to 1 of 3" in str(observer.waiting_for))
        assert not observer.is_leader
        await cluster.stop(7)
        for node_id in (1, 2, 3):
            if node_id not in cluster.nodes:
                await cluster.start(node_id)
        leader = await cluster.leader()
        await leader.propose(b"more", timeout_s=5)
        await cluster.start(7)
        await until(lambda: cluster.machines[7].log == cluster.machines[leader.node_id].log)


async def test_a_node_of_another_cluster_is_refused_and_both_are_named(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "raftkafka.raft")
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        await cluster.start(1, cluster_id="ours")
        await cluster.start(2, cluster_id="theirs")
        await until(lambda: "node 1 belongs to cluster ours, node 2 to cluster theirs" in caplog.text)
        assert cluster.nodes[1].leader_id is None
        # Who does not know its cluster yet is taken in.
        await cluster.start(3)
        await cluster.leader()


async def test_heartbeats_too_rare_for_the_election_timeout_are_refused(tmp_path):
    cluster = Cluster(tmp_path, 0)
    settings = ControllerSettings(election_timeout_min_ms=100, election_timeout_max_ms=200, raft_heartbeat_ms=50)
    with pytest.raises(StartupError, match="does not allow three heartbeats of 50 ms"):
        await cluster.make(1, settings=settings).start()
    cluster.disk.close()


async def test_a_disk_that_refuses_the_first_write_refuses_to_start(tmp_path, monkeypatch):
    cluster = Cluster(tmp_path, 0)

    def full(self, buffers):
        raise DiskFullError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("raftkafka.adapters.disk.OsFile.append", full)
        with pytest.raises(StartupError, match="no space left on device"):
            await cluster.make(1).start()
    assert cluster.fatal == [], "whoever starts it hears it by the exception"
    await cluster.start(1)
    await cluster.leader()
    await cluster.stop(1)
    cluster.disk.close()


async def test_a_directory_that_disappears_stops_raft_with_nothing_to_write(tmp_path):
    cluster = Cluster(tmp_path, 0)
    node = await cluster.start(1)
    await cluster.leader()
    await node.check_disk()
    assert cluster.fatal == []
    (tmp_path / "1").rename(tmp_path / "elsewhere")
    for _ in range(2):
        await node.check_disk()
    assert [type(each) for each in cluster.fatal] == [StorageError]
    assert not node.is_leader
    await cluster.stop(1)
    cluster.disk.close()


async def test_many_small_entries_go_in_several_messages(tmp_path):
    # Three nodes share this loop: nobody is to be elected because it was busy with the others' entries.
    patient = ControllerSettings(snapshot_min_entries=30, election_timeout_min_ms=2_000, election_timeout_max_ms=4_000)
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        for node_id in (1, 2, 3):
            await cluster.start(node_id, settings=patient)
        leader = await cluster.leader()
        await asyncio.gather(*(leader.propose(b"", timeout_s=30) for _ in range(5_000)))
        await until(lambda: all(len(machine.log) == 5_000 for machine in cluster.machines.values()))


async def test_a_directory_in_use_is_named(tmp_path):
    cluster = Cluster(tmp_path, 0)
    await cluster.start(1)
    with pytest.raises(StartupError, match="in use by another process"):
        await cluster.make(1).start()
    await cluster.stop(1)
    cluster.disk.close()


async def test_a_damaged_snapshot_refuses_to_start(tmp_path):
    cluster = Cluster(tmp_path, 0)
    node = await cluster.start(1)
    await cluster.leader()
    for number in range(100):
        await node.propose(b"%d" % number, timeout_s=5)
    await until(lambda: (tmp_path / "1" / "snapshot").exists())
    await cluster.stop(1)
    path = tmp_path / "1" / "snapshot"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StartupError, match="snapshot cannot be used"):
        await cluster.make(1).start()
    cluster.disk.close()


class Hostile:
    """A raw connection to a controller listener."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, node):
        return cls(*await asyncio.open_connection("127.0.0.1", node.port))

    def send(self, payload):
        self.writer.write(struct.pack("<I", len(payload)) + payload)

    async def receive(self):
        (length,) = struct.unpack("<I", await self.reader.readexactly(4))
        return await self.reader.readexactly(length)

    async def authenticate(self, *, node_id, secret=SECRET):
        client = NodeAuthClient(secret=secret, node_id=NodeId(node_id), nonce=os.urandom(16))
        self.send(client.first())
        _, proof = client.on_challenge(await self.receive())
        self.send(proof)

    async def is_closed(self):
        async with asyncio.timeout(10):
            try:
                while await self.reader.read(1 << 16):
                    pass
            except ConnectionResetError:
                pass
        self.writer.close()
        return True


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture(params=["stranger", "voter"])
def as_voter(request):
    return request.param == "voter"


FRAMES = [
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("<I", 0xFFFFFFFF),
    struct.pack("<I", 9 << 20),
    struct.pack("<I", 3) + b"\xc1\xff\x00",
    struct.pack("<I", 4) + b"\x84\x00\x01\x02",
]


@pytest.mark.parametrize("frame", FRAMES)
async def test_garbage_closes_that_connection_only(tmp_path, as_voter, frame, caplog):
    caplog.set_level(logging.WARNING, "raftkafka.raft")
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        await cluster.start(1)
        await cluster.start(2)
        leader = await cluster.leader()
        hostile = await Hostile.to(cluster.nodes[1])
        if as_voter:
            await hostile.authenticate(node_id=3)
        hostile.writer.write(frame)
        assert await hostile.is_closed()
        await leader.propose(b"still there", timeout_s=5)
        assert len([r for r in caplog.records if "closing the Raft connection" in r.message]) == 1


async def test_a_pickle_runs_nothing_wherever_it_is_put(tmp_path, as_voter):
    planted = tmp_path / "planted"
    exploit = pickle.dumps(Exploit(planted))
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        node = await cluster.start(1)
        bodies = [
            exploit,
            cbor.encode([0, 5, 0, 1, 1, 0, [[5, b"\x02" + exploit]]]),
            cbor.encode([0, 5, 0, 1, 1, 0, [[5, b"\x03" + exploit]]]),
            cbor.encode([1, 5, 0, 1, 0, len(exploit), exploit]),
            cbor.encode([0, 5, 2, 1, 1, 0, [[5, b"\x00" + exploit]]]),
        ]
        for body in bodies if as_voter else bodies[:1]:
            hostile = await Hostile.to(node)
            if as_voter:
                await hostile.authenticate(node_id=3)
            hostile.send(body)
            hostile.writer.write_eof()
            assert await hostile.is_closed()
        if as_voter:
            # As an entry it is what every command is: bytes for the state machine.
            await until(lambda: cluster.machines[1].log == [exploit])
        assert not planted.exists()


async def test_the_own_id_and_a_wrong_secret_are_refused(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "raftkafka.raft")
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        node = await cluster.start(1)
        hostile = await Hostile.to(node)
        await hostile.authenticate(node_id=1)
        assert await hostile.is_closed()
        await cluster.start(2, secret=b"another secret")
        await until(lambda: "does not know this cluster's secret" in caplog.text)
        assert "node 1 is not another node of this cluster" in caplog.text
        assert "connected to 0 of 2" in str(node.waiting_for)


async def test_silent_strangers_are_bounded_and_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("raftkafka.adapters.raft.network.STRANGERS_MAX", 5)
    monkeypatch.setattr("raftkafka.adapters.raft.link.HANDSHAKE_TIMEOUT_S", 0.3)
    async with cluster_of(tmp_path, 3, started=False) as cluster:
        node = await cluster.start(1)
        hostiles = [await Hostile.to(node) for _ in range(8)]
        for hostile in hostiles:
            assert await hostile.is_closed()
        await cluster.start(2)
        await cluster.leader()


async def test_port_0_takes_a_free_one(tmp_path):
    cluster = Cluster(tmp_path, 3)
    node = cluster.make(1)
    node._listen = Listener(name="CONTROLLER", host="127.0.0.1", port=0)
    await node.start()
    assert node.port not in (0, None)
    await node.stop()
    cluster.disk.close()


# Voters that change


def voter_of(cluster, node_id, directory_id=b""):
    return RaftVoter(
        node_id=NodeId(node_id), host="127.0.0.1", port=cluster.nodes[node_id].port, directory_id=directory_id
    )


def voter_ids(node):
    return [state.node_id for state in node.voters()]


async def test_voters_are_added_and_removed_and_the_log_remembers_them(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        await leader.propose(b"one", timeout_s=5)
        await cluster.start(4, listening=True)
        await leader.add_voter(voter_of(cluster, 4), timeout_s=10)
        await until(lambda: all(voter_ids(node) == [1, 2, 3, 4] for node in cluster.nodes.values()))
        with pytest.raises(ApiError) as refused:
            await leader.add_voter(voter_of(cluster, 4), timeout_s=1)
        assert refused.value.code is ErrorCode.DUPLICATE_VOTER
        gone = next(each for each in (1, 2, 3) if each != leader.node_id)
        await leader.remove_voter(NodeId(gone), timeout_s=5)
        with pytest.raises(ApiError) as refused:
            await leader.remove_voter(NodeId(gone), timeout_s=5)
        assert refused.value.code is ErrorCode.VOTER_NOT_FOUND
        left = sorted({1, 2, 3, 4} - {gone})
        await until(lambda: all(voter_ids(node) == left for node in cluster.nodes.values()))
        # The one that was removed goes on without a vote.
        assert [state.node_id for state in leader.observers()] == [gone]
        await leader.propose(b"two", timeout_s=5)
        await until(lambda: cluster.machines[gone].log == [b"one", b"two"])
        # controller.quorum.voters still says 1, 2, 3: the log says more.
        for node_id in list(cluster.nodes):
            await cluster.stop(node_id)
        for node_id in left:
            await cluster.start(node_id, listening=node_id == 4)
        leader = await cluster.leader()
        assert all(voter_ids(node) == left for node in cluster.nodes.values())
        await leader.propose(b"three", timeout_s=5)


async def test_a_leader_that_removes_itself_steps_down_when_that_is_committed(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        term = leader.term
        await leader.remove_voter(leader.node_id, timeout_s=5)
        await until(lambda: not leader.is_leader)
        follower = await cluster.leader()
        assert follower is not leader
        assert follower.term > term
        await follower.propose(b"after", timeout_s=5)
        await until(lambda: cluster.machines[leader.node_id].log == [b"after"])
        assert leader.node_id not in voter_ids(leader)


async def test_changes_asked_for_at_once_follow_each_other(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        await asyncio.gather(
            *[leader.remove_voter(NodeId(each), timeout_s=10) for each in (1, 2, 3) if each != leader.node_id]
        )
        assert voter_ids(leader) == [leader.node_id]
        await leader.propose(b"alone", timeout_s=5)


async def test_what_would_leave_no_majority_is_refused(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        others = [each for each in (1, 2, 3) if each != leader.node_id]
        await cluster.stop(others[0])
        await until(lambda: not leader.is_connected(NodeId(others[0])))
        with pytest.raises(ApiError, match="no majority") as refused:
            await leader.remove_voter(NodeId(others[1]), timeout_s=5)
        assert refused.value.code is ErrorCode.INVALID_REQUEST
        await leader.remove_voter(NodeId(others[0]), timeout_s=5)
        await leader.propose(b"goes on", timeout_s=5)


async def test_only_a_node_that_is_there_and_up_to_date_is_added(tmp_path):
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        nobody = RaftVoter(node_id=NodeId(9), host="127.0.0.1", port=free_ports(1)[0])
        with pytest.raises(ApiError, match="nobody answers at"):
            await leader.add_voter(nobody, timeout_s=0.1)
        with pytest.raises(ApiError, match="nobody answers at"):
            await leader.add_voter(replace(nobody, host="no\0host"), timeout_s=0.1)
        absent = RaftVoter(node_id=NodeId(9), host="127.0.0.1", port=leader.port)
        with pytest.raises(ApiError, match="node 9 is not connected as an observer") as refused:
            await leader.add_voter(absent, timeout_s=0.1)
        assert refused.value.code is ErrorCode.REQUEST_TIMED_OUT
        await cluster.start(4, listening=True)
        await until(lambda: leader.is_connected(NodeId(4)))
        with pytest.raises(ApiError) as refused:
            await leader.add_voter(voter_of(cluster, 4, b"x" * 16), timeout_s=1)
        assert refused.value.code is ErrorCode.INVALID_VOTER_KEY
        follower = next(node for node in cluster.nodes.values() if node is not leader and node.node_id != 4)
        with pytest.raises(NotLeaderError):
            await follower.add_voter(voter_of(cluster, 4), timeout_s=1)
        assert voter_ids(leader) == [1, 2, 3]


async def test_a_voter_with_an_empty_disk_has_no_vote_until_it_is_removed_and_added(tmp_path, caplog):
    caplog.set_level(logging.ERROR, "raftkafka.raft")
    async with cluster_of(tmp_path, 3) as cluster:
        leader = await cluster.leader()
        await leader.propose(b"one", timeout_s=5)
        await until(lambda: all(each.directory_id for node in cluster.nodes.values() for each in node._book.current))
        replaced, other = [each for each in (1, 2, 3) if each != leader.node_id]
        await cluster.stop(replaced)
        shutil.rmtree(tmp_path / str(replaced))
        await cluster.start(replaced)
        await until(lambda: cluster.machines[replaced].log == [b"one"])
        assert f"node {replaced} is a voter with another disk" in caplog.text
        await cluster.stop(other)
        # The leader and the empty disk are two of three, and no majority.
        with pytest.raises((OutcomeUnknownError, NotLeaderError)):
            await leader.propose(b"two", timeout_s=0.5)
        await cluster.start(other)
        leader = await cluster.leader()
        assert leader.node_id != replaced
        await leader.remove_voter(NodeId(replaced), timeout_s=5)
        await leader.add_voter(voter_of(cluster, replaced), timeout_s=10)
        await cluster.stop(other)
        await leader.propose(b"three", timeout_s=5)
