"""What kafka-manager (CMAK) does with ZooKeeper, operation by operation, at the ports of real nodes.

Its source (1.3.3.18 and 3.0.0.7): `KafkaManagerActor`, `KafkaStateActor`, `AdminUtils`, `ReassignPartitionCommand`,
`PreferredLeaderElectionCommand`; Curator's for the caches and the mutex.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError
from kazoo.protocol.states import EventType, WatchedEvent, ZnodeStat
from kazoo.recipe.cache import TreeCache

from raftkafka.client import Admin
from tests.clusters import PATIENCE_S, POLL_S, Cluster, _free_port

pytestmark = pytest.mark.integration

OWN = "/kafka-manager"
TOPICS = "/brokers/topics"
REASSIGN = "/admin/reassign_partitions"
ELECT = "/admin/preferred_replica_election"
LOCAL_ADDRESS = b"127.0.0.1"
"""Curator's data for a node that is created without any."""
ENDPOINT = re.compile(r"([A-Z_0-9]+)://(.+):(\d+)")


# The cluster and its clients


@pytest.fixture
async def three(new_cluster) -> tuple[Cluster, dict[int, int]]:
    """Three nodes that are ready, and their ZooKeeper ports. Leaders stay where they are until somebody moves them."""
    cluster = new_cluster(3, {"auto.leader.rebalance.enable": "false"})
    ports = {node_id: _free_port() for node_id in cluster.node_ids}
    for node_id, port in ports.items():
        cluster.configure(node_id, {"zookeeper.listener": f"127.0.0.1:{port}"})
    cluster.start()
    await cluster.ready()
    return cluster, ports


@pytest.fixture
def connect() -> Iterator[Callable[..., KazooClient]]:
    """`connect(*ports)`: a client that is connected, for use in a thread."""
    made: list[KazooClient] = []

    def connected(*ports: int) -> KazooClient:
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        made.append(KazooClient(hosts=hosts, timeout=20.0, randomize_hosts=False))
        made[-1].start(timeout=PATIENCE_S)
        return made[-1]

    yield connected
    for each in made:
        each.stop()
        each.close()


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """In a thread, as everything of kazoo."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(POLL_S)
    return value


def encoded(fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


# Curator's recipes, as operations


class PathChildrenCache:
    """The children of a node and their data, kept by one-shot watches; `events` is what its listeners would hear."""

    def __init__(self, zk: KazooClient, path: str) -> None:
        self._zk = zk
        self._path = path
        self._lock = threading.RLock()
        self.nodes: dict[str, tuple[bytes, ZnodeStat]] = {}
        self.events: list[tuple[str, str, bytes]] = []
        self._refresh(None)

    def _refresh(self, event: WatchedEvent | None) -> None:
        if event is not None and event.type != EventType.CHILD:
            return  # the session ends, or the node has gone
        with self._lock:  # the first time is in a thread of its own
            names = self._zk.get_children(self._path, watch=self._refresh)
            for name in sorted(set(self.nodes).difference(names)):
                self.events.append(("removed", name, self.nodes.pop(name)[0]))
            for name in names:
                if name not in self.nodes:
                    self._read(name)

    def _read(self, name: str) -> None:
        def changed(event: WatchedEvent) -> None:
            if event.type == EventType.CHANGED:
                with self._lock:
                    self._read(name)

        try:
            found = self._zk.get(f"{self._path}/{name}", watch=changed)
        except NoNodeError:
            return  # the watch of the children tells
        before = self.nodes.get(name)
        if before is None or before[1].mzxid != found[1].mzxid:
            self.nodes[name] = found
            self.events.append(("added" if before is None else "updated", name, found[0]))


class SemaphoreMutex:
    """`InterProcessSemaphoreMutex`: one lease below `leases`, taken by who has the lock below `locks`."""

    def __init__(self, zk: KazooClient, path: str) -> None:
        self._zk = zk
        self._path = path
        self._lease = ""

    def acquire(self) -> None:
        lock = self._protected("locks", "-lock-")
        try:
            self._wait_for_turn(lock)
            self._lease = self._protected("leases", "-lease-")
            self._wait_for_lease()
        finally:
            self._zk.delete(lock)

    def release(self) -> None:
        self._zk.delete(self._lease)

    def _protected(self, directory: str, suffix: str) -> str:
        name = f"{self._path}/{directory}/_c_{uuid.uuid4()}{suffix}"
        return str(self._zk.create(name, LOCAL_ADDRESS, ephemeral=True, sequence=True, makepath=True))

    def _wait_for_turn(self, lock: str) -> None:
        directory, _, own = lock.rpartition("/")
        while True:
            names = sorted(self._zk.get_children(directory), key=lambda name: name.rpartition("-")[2])
            at = names.index(own)
            if at == 0:
                return
            moved = threading.Event()
            try:
                self._zk.get(f"{directory}/{names[at - 1]}", watch=lambda _, moved=moved: moved.set())
            except NoNodeError:
                continue
            assert moved.wait(PATIENCE_S), f"{names[at - 1]} stays"

    def _wait_for_lease(self) -> None:
        directory, _, own = self._lease.rpartition("/")
        while True:
            moved = threading.Event()
            names = self._zk.get_children(directory, watch=lambda _, moved=moved: moved.set())
            assert own in names
            if len(names) <= 1:
                return
            assert moved.wait(PATIENCE_S), f"{names} stay"


# What it does


def config_of_cluster(name: str, connect_to: str, *, enabled: bool = True) -> bytes:
    return encoded(
        {
            "name": name,
            "curatorConfig": {
                "zkConnect": connect_to,
                "zkMaxRetry": 100,
                "baseSleepTimeMs": 100,
                "maxSleepTimeMs": 1000,
            },
            "enabled": enabled,
            "kafkaVersion": "1.1.0",
            "jmxEnabled": False,
            "jmxUser": None,
            "jmxPass": None,
            "jmxSsl": False,
            "pollConsumers": False,
            "filterConsumers": False,
            "logkafkaEnabled": False,
            "activeOffsetCacheEnabled": False,
            "displaySizeEnabled": False,
            "tuning": {"brokerViewUpdatePeriodSeconds": 30, "clusterManagerThreadPoolSize": 2},
            "securityProtocol": "PLAINTEXT",
        }
    )


def broker_identity(data: bytes) -> tuple[str, int, int, dict[str, tuple[str, int]]]:
    """`BrokerIdentity.from`: host, port, JMX port, endpoints by protocol. A field that is missing drops the broker."""
    fields = json.loads(data)
    host, port, jmx_port = fields["host"], fields["port"], fields["jmx_port"]
    assert (type(host), type(port), type(jmx_port)) == (str, int, int)
    endpoints = {}
    for each in fields["endpoints"]:
        matched = ENDPOINT.fullmatch(each)
        assert matched is not None, each
        endpoints[matched[1]] = (matched[2], int(matched[3]))
    return host, port, jmx_port, endpoints


def partition_states(cache: TreeCache, topic: str) -> dict[int, tuple[int, list[int]]]:
    """Leader and ISR by partition, as far as the tree cache has them."""
    found = {}
    for name in cache.get_children(f"{TOPICS}/{topic}/partitions") or ():
        state = cache.get_data(f"{TOPICS}/{topic}/partitions/{name}/state")
        if state is not None:
            fields = json.loads(state.data)
            found[int(name)] = (fields["leader"], sorted(fields["isr"]))
    return found


def assignment(cache: TreeCache, topic: str) -> dict[int, list[int]]:
    node = cache.get_data(f"{TOPICS}/{topic}")
    return {} if node is None else {int(key): each for key, each in json.loads(node.data)["partitions"].items()}


def create_topic(zk: KazooClient, topic: str, replicas: dict[int, list[int]], configs: dict[str, str]) -> None:
    """`AdminUtils.createTopic`: the brokers are read, then the configs are written, then the topic."""
    known = {int(each) for each in zk.get_children("/brokers/ids")}
    assert {each for every in replicas.values() for each in every} <= known
    assert zk.exists(f"{TOPICS}/{topic}") is None
    update_persistent(zk, f"/config/topics/{topic}", encoded({"version": 1, "config": configs}))
    partitions = {str(index): every for index, every in replicas.items()}
    zk.create(f"{TOPICS}/{topic}", encoded({"version": 1, "partitions": partitions}), makepath=True)


def update_persistent(zk: KazooClient, path: str, data: bytes, version: int = -1) -> None:
    """`ZkUtils.updatePersistentPath`."""
    try:
        zk.set(path, data, version=version)
    except NoNodeError:
        zk.create(path, data, makepath=True)


def tree_cache(zk: KazooClient, path: str) -> TreeCache:
    cache = TreeCache(zk, path)
    cache.start()
    wait_for(lambda: cache.get_data(path) is not None, f"the tree cache has {path}")
    return cache


# The tests


async def test_its_own_tree_holds_the_clusters_that_are_added(three, connect):
    _, ports = three

    def use() -> None:
        here, there = connect(ports[1]), connect(ports[2])
        for name in ("configs", "deleteClusters", "clusters"):
            here.ensure_path(f"{OWN}/{name}")
        configs = PathChildrenCache(there, f"{OWN}/configs")
        deleted = PathChildrenCache(there, f"{OWN}/deleteClusters")
        address = f"127.0.0.1:{ports[1]}"

        first = config_of_cluster("prod", address)
        assert here.exists(f"{OWN}/configs/prod") is None
        here.create(f"{OWN}/configs/prod", first)
        wait_for(lambda: ("added", "prod", first) in configs.events, "the cluster is added")
        second = config_of_cluster("prod", address, enabled=False)
        here.set(f"{OWN}/configs/prod", second)
        wait_for(lambda: ("updated", "prod", second) in configs.events, "the cluster is changed")

        here.ensure_path(f"{OWN}/clusters/prod/topics")
        generated = PathChildrenCache(there, f"{OWN}/clusters/prod/topics")
        here.create(f"{OWN}/clusters/prod/topics/orders", b'{"0":[1,2]}')
        here.set(f"{OWN}/clusters/prod/topics/orders", b'{"0":[2,3]}')
        wait_for(lambda: generated.nodes.get("orders", (b"",))[0] == b'{"0":[2,3]}', "the assignment is seen")

        here.create(f"{OWN}/deleteClusters/prod", second)
        wait_for(lambda: ("added", "prod", second) in deleted.events, "the cluster is to be deleted")
        here.delete(f"{OWN}/clusters/prod", recursive=True)
        here.delete(f"{OWN}/configs/prod")
        here.delete(f"{OWN}/deleteClusters/prod")
        wait_for(lambda: deleted.events[-1:] == [("removed", "prod", second)], "the deletion is done")
        wait_for(lambda: configs.events[-1:] == [("removed", "prod", second)], "the cluster is removed")
        assert here.get_children(f"{OWN}/clusters") == []

    await asyncio.to_thread(use)


async def test_its_caches_show_brokers_topics_leaders_and_isr(three, connect):
    cluster, ports = three

    def begin() -> tuple[TreeCache, PathChildrenCache]:
        zk = connect(ports[2])
        zk.sync("/")
        return tree_cache(zk, TOPICS), PathChildrenCache(zk, "/brokers/ids")

    topics, brokers = await asyncio.to_thread(begin)
    await cluster.create_topic("orders", partitions=3, replicas=3)

    def look() -> None:
        wait_for(lambda: len(brokers.nodes) == 3, "all brokers are seen")
        for name, (data, stat) in brokers.nodes.items():
            host, port, jmx_port, endpoints = broker_identity(data)
            assert f"{host}:{port}" == cluster.place(int(name)).address
            assert jmx_port == -1
            assert (host, port) in endpoints.values()
            assert stat.ephemeralOwner != 0
        wait_for(
            lambda: (
                sorted(partition_states(topics, "orders")) == [0, 1, 2]
                and all(isr == [1, 2, 3] for _, isr in partition_states(topics, "orders").values())
            ),
            "every partition has its ISR",
        )
        for index, replicas in assignment(topics, "orders").items():
            assert sorted(replicas) == [1, 2, 3]
            assert partition_states(topics, "orders")[index][0] in replicas

    await asyncio.to_thread(look)
    controller = await cluster.controller()
    away = next(each for each in cluster.node_ids if each not in (2, controller))
    cluster.kill(away)

    def look_again() -> None:
        wait_for(lambda: str(away) not in brokers.nodes, "the dead broker is gone")
        left = sorted({1, 2, 3} - {away})
        wait_for(
            lambda: all(leader in left and isr == left for leader, isr in partition_states(topics, "orders").values()),
            "leaders and ISR are without the dead broker",
        )
        topics.close()

    await asyncio.to_thread(look_again)


async def test_a_topic_is_created_grows_is_configured_and_deleted(three, connect):
    cluster, ports = three

    def begin() -> tuple[KazooClient, TreeCache, PathChildrenCache, PathChildrenCache]:
        zk = connect(ports[1])
        zk.sync("/")
        topics, configs = tree_cache(zk, TOPICS), PathChildrenCache(zk, "/config/topics")
        deletions = PathChildrenCache(zk, "/admin/delete_topics")
        create_topic(zk, "made", {0: [1, 2], 1: [2, 3]}, {"retention.ms": "123456"})
        wait_for(lambda: assignment(topics, "made") == {0: [1, 2], 1: [2, 3]}, "the topic is in the tree cache")
        wait_for(lambda: "made" in configs.nodes, "its configs are seen")
        with pytest.raises(NodeExistsError):
            zk.create(f"{TOPICS}/made", encoded({"version": 1, "partitions": {"0": [1, 2]}}))
        return zk, topics, configs, deletions

    zk, topics, configs, deletions = await asyncio.to_thread(begin)
    async with Admin(cluster.bootstrap) as admin:
        (described,) = await admin.describe_topics(["made"])
    assert [list(each.replica_nodes) for each in described.partitions] == [[1, 2], [2, 3]]

    def change() -> None:
        grown = encoded({"version": 1, "partitions": {"0": [1, 2], "1": [2, 3], "2": [3, 1]}})
        read = topics.get_data(f"{TOPICS}/made").stat.version
        with pytest.raises(BadVersionError):
            zk.set(f"{TOPICS}/made", grown, version=read + 1_000_000)
        assert zk.set(f"{TOPICS}/made", grown, version=read).version > read
        with pytest.raises(BadVersionError):  # who read before must read again
            zk.set(f"{TOPICS}/made", grown, version=read)
        wait_for(lambda: assignment(topics, "made").get(2) == [3, 1], "the new partition is in the tree cache")
        wait_for(lambda: partition_states(topics, "made").get(2, (-1,))[0] in (1, 3), "the new partition has a leader")

        wanted = {"version": 1, "config": {"retention.ms": "654321", "cleanup.policy": "compact"}}
        read = configs.nodes["made"][1].version
        zk.set("/config/topics/made", encoded(wanted), version=read)
        with pytest.raises(BadVersionError):
            zk.set("/config/topics/made", encoded({"version": 1, "config": {}}), version=read)
        notice = encoded({"version": 1, "entity_type": "topics", "entity_name": "made"})
        path = zk.create("/config/changes/config_change_", notice, sequence=True)
        assert re.fullmatch(r"/config/changes/config_change_\d{10}", path)
        assert zk.get(path)[0] == notice
        wait_for(lambda: json.loads(configs.nodes["made"][0]) == wanted, "the new configs are seen")

        zk.create("/admin/delete_topics/made", LOCAL_ADDRESS)
        wait_for(lambda: topics.get_data(f"{TOPICS}/made") is None, "the topic has left the tree cache")
        wait_for(lambda: "made" not in configs.nodes, "its configs are gone")
        wait_for(lambda: zk.exists("/admin/delete_topics/made") is None, "the deletion is done")
        wait_for(lambda: "made" not in deletions.nodes, "the deletion has left the cache")
        assert zk.exists(f"{TOPICS}/made") is None
        topics.close()

    await asyncio.to_thread(change)


async def test_a_reassignment_shrinks_and_vanishes(three, connect):
    cluster, ports = three
    controller = await cluster.controller()
    other, away = (each for each in cluster.node_ids if each != controller)

    def begin() -> tuple[KazooClient, TreeCache, PathChildrenCache]:
        zk = connect(ports[controller], ports[other])
        zk.sync("/")
        create_topic(zk, "moved", {0: [controller], 1: [controller]}, {})
        return zk, tree_cache(zk, TOPICS), PathChildrenCache(zk, "/admin")

    zk, topics, admin = await asyncio.to_thread(begin)
    await cluster.has_leaders("moved")
    cluster.kill(away)  # what is to move there waits for it

    def move(*targets: list[int]) -> bytes:
        partitions = [{"topic": "moved", "partition": at, "replicas": each} for at, each in enumerate(targets)]
        return encoded({"version": 1, "partitions": partitions})

    def reassign() -> None:
        zk.create(REASSIGN, move([other], [away]))
        with pytest.raises(NodeExistsError):
            zk.create(REASSIGN, move([controller]))
        wait_for(lambda: "reassign_partitions" in admin.nodes, "the reassignment is under way")
        left = [{"topic": "moved", "partition": 1, "replicas": [away]}]
        wait_for(
            lambda: json.loads(admin.nodes["reassign_partitions"][0])["partitions"] == left,
            "the partition that has moved leaves the list",
        )
        wait_for(lambda: assignment(topics, "moved")[0] == [other], "partition 0 is in its place")
        assert sorted(assignment(topics, "moved")[1]) == sorted([controller, away])

    await asyncio.to_thread(reassign)
    cluster.start(away)

    def end() -> None:
        wait_for(lambda: "reassign_partitions" not in admin.nodes, "the reassignment is done")
        assert zk.exists(REASSIGN) is None
        wait_for(lambda: assignment(topics, "moved") == {0: [other], 1: [away]}, "both are in their places")
        wait_for(
            lambda: partition_states(topics, "moved") == {0: (other, [other]), 1: (away, [away])},
            "both have leaders there",
        )
        assert admin.events[-1][:2] == ("removed", "reassign_partitions")
        topics.close()

    await asyncio.to_thread(end)


async def test_preferred_leaders_are_elected(three, connect):
    cluster, ports = three

    def begin() -> tuple[KazooClient, TreeCache]:
        zk = connect(ports[3])
        zk.sync("/")
        create_topic(zk, "led", {0: [1, 2]}, {})
        return zk, tree_cache(zk, TOPICS)

    zk, topics = await asyncio.to_thread(begin)
    await cluster.wait_isr_full("led")

    def elect() -> None:
        wait_for(lambda: partition_states(topics, "led") == {0: (1, [1, 2])}, "the first replica leads")
        turned = [{"topic": "led", "partition": 0, "replicas": [2, 1]}]
        zk.create(REASSIGN, encoded({"version": 1, "partitions": turned}))
        wait_for(lambda: zk.exists(REASSIGN) is None, "the order of the replicas is changed")
        wait_for(lambda: assignment(topics, "led") == {0: [2, 1]}, "the new order is seen")
        assert partition_states(topics, "led") == {0: (1, [1, 2])}
        wanted = [{"topic": "led", "partition": 0}, {"topic": "none", "partition": 7}]
        zk.create(ELECT, encoded({"version": 1, "partitions": wanted}))
        wait_for(lambda: partition_states(topics, "led") == {0: (2, [1, 2])}, "the preferred leader leads")
        wait_for(lambda: zk.exists(ELECT) is None, "the election is done")
        topics.close()

    await asyncio.to_thread(elect)


@pytest.mark.parametrize("path", [f"{OWN}/mutex", f"{OWN}/clusters/prod/mutex"])
async def test_one_at_a_time_has_the_mutex(three, connect, path):
    _, ports = three

    def use() -> None:
        clients = [connect(port) for port in ports.values()]
        holders: list[int] = []
        most: list[int] = []

        def take_turns(at: int) -> None:
            mutex = SemaphoreMutex(clients[at], path)
            for _ in range(5):
                mutex.acquire()
                holders.append(at)
                most.append(len(holders))
                clients[at].sync("/")  # a round trip, in which another one could come in
                most.append(len(holders))
                holders.remove(at)
                mutex.release()

        threads = [threading.Thread(target=take_turns, args=(at,)) for at in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert most == [1] * (2 * 5 * len(clients))

        held, waiting = SemaphoreMutex(clients[0], path), SemaphoreMutex(clients[1], path)
        held.acquire()
        taken = threading.Event()

        def wait() -> None:
            waiting.acquire()
            taken.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        wait_for(lambda: len(clients[2].get_children(f"{path}/leases")) == 2, "the other one waits for the lease")
        assert not taken.is_set()
        clients[0].stop()  # the lease of who is gone goes with the session
        assert taken.wait(PATIENCE_S)
        waiter.join(PATIENCE_S)
        waiting.release()
        clients[2].sync("/")
        assert clients[2].get_children(f"{path}/leases") == []
        assert clients[2].get_children(f"{path}/locks") == []

    await asyncio.to_thread(use)
