"""The JSON API of a real cluster, asked over HTTP as programs and pages do. Every answer is held against the OpenAPI document."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, Consumer, TopicPartition
from tests.http_client import Browser

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def single(shared_single: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_single


TOKEN = "the token of the operator"
PATIENCE_S = 60.0


async def browser_of(cluster: Cluster, node_id: int = 1) -> Browser:
    return await asyncio.to_thread(Browser, cluster, node_id)


async def until(condition: Any) -> Any:
    """What `condition`, which asks, gives once it is neither None nor false."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = await condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it does not come to be so"
        await asyncio.sleep(0.1)


async def test_the_cluster_and_its_topics(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with cluster.load("t", 3) as load:
        await load.more(100)
        await load.end()
    await cluster.wait_isr_full("t")
    written = sum(len(each) for each in load.acked.values())
    for node_id in cluster.node_ids:
        browser = await browser_of(cluster, node_id)
        assert browser.session["node_id"] == node_id
        found = await browser.get("/cluster")
        assert found["controller_id"] == found["raft"]["leader_id"] == await cluster.controller()
        assert found["raft"]["voters"] == sorted(cluster.node_ids)
        assert {each["id"]: each["state"] for each in found["brokers"]} == dict.fromkeys(cluster.node_ids, "online")
        assert all(each["size_bytes"] > 0 for each in found["brokers"])
        assert found["counts"]["partitions"] == 3
        assert found["counts"]["under_replicated"] == found["counts"]["offline"] == 0
        listed = await browser.get("/topics?search=T")
        assert listed["total"] == 1
        assert listed["topics"][0]["name"] == "t"
        assert listed["topics"][0]["records"] == written
        topic = await browser.get("/topics/t")
        assert sum(each["latest"] - each["earliest"] for each in topic["partitions"]) == written
        assert all(each["size_bytes"] > 0 for each in topic["partitions"])
        assert {each["name"]: each["source"] for each in topic["configs"]}["retention.ms"] == "DEFAULT_CONFIG"
        broker = await browser.get(f"/brokers/{node_id % 3 + 1}")
        assert broker["log_dirs"][0]["size_bytes"] > 0
        assert broker["log_dirs"][0]["error"] is None
        assert {each["name"]: each["value"] for each in broker["configs"]}["node.id"] == str(node_id % 3 + 1)
        parts = await browser.get("/partition-map?topic=t")
        assert [each["replicas"] for each in parts["brokers"]] == [3, 3, 3]
        assert parts["skew"] == {"leaders": 0.0, "replicas": 0.0}


async def test_a_topic_from_its_creation_to_its_end(cluster: Cluster) -> None:
    browser = await browser_of(cluster, 2)
    wanted = {"name": "made", "partitions": 2, "replication_factor": 3, "configs": {"retention.ms": "1000000"}}
    assert await browser.change("POST", "/topics", {**wanted, "validate_only": True})
    assert (await browser.get("/topics"))["total"] == 0
    made = await browser.change("POST", "/topics", wanted)
    assert made == {"name": "made", "partitions": 2, "replication_factor": 3}
    assert (await browser.get("/topics"))["total"] == 1, "whoever asks again sees it"
    assert (await browser.ask("POST", "/topics", wanted))[0] == 409
    await browser.change("PATCH", "/topics/made/configs", {"set": {"segment.ms": "5000"}, "delete": ["retention.ms"]})
    configs = {each["name"]: each for each in (await browser.get("/topics/made"))["configs"]}
    assert (configs["segment.ms"]["value"], configs["segment.ms"]["source"]) == ("5000", "DYNAMIC_TOPIC_CONFIG")
    assert configs["retention.ms"]["source"] == "DEFAULT_CONFIG"
    await browser.change("POST", "/topics/made/partitions", {"total": 3})
    assert len((await browser.get("/topics/made"))["partitions"]) == 3
    for bad, status in (({"total": 3}, 400), ({"total": 0}, 400), ({"total": "4"}, 400), ({}, 400)):
        assert (await browser.ask("POST", "/topics/made/partitions", bad))[0] == status
    assert (await browser.ask("DELETE", "/topics/made", {"confirm": "mad"}))[0] == 400
    assert (await browser.get("/topics"))["total"] == 1
    await browser.change("DELETE", "/topics/made", {"confirm": "made"})
    assert (await browser.get("/topics"))["total"] == 0
    assert (await browser.ask("DELETE", "/topics/made", {"confirm": "made"}))[0] == 404


async def test_messages(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=2)
    browser = await browser_of(cluster, 3)
    for number in range(30):
        new = {
            "partition": number % 2,
            "key": f"key-{number}",
            "value": f'{{"number": {number}, "word": "한국어"}}',
            "headers": [["source", "test"], ["none", None]],
        }
        written = await browser.change("POST", "/topics/t/messages", new)
        assert (written["partition"], written["offset"]) == (number % 2, number // 2)
    raw = base64.b64encode(b"\xff\x00binary").decode()
    await browser.change("POST", "/topics/t/messages", {"partition": 0, "value": raw, "encoding": "base64"})
    await browser.change("POST", "/topics/t/messages", {"partition": 1, "key": "gone"})

    found = await browser.get("/topics/t/messages?limit=500")
    assert len(found["messages"]) == found["scanned"] == 32
    assert found["end_reached"]
    assert found["messages"][0]["value"]["text"] == '{"number": 0, "word": "한국어"}'
    assert found["messages"][0]["headers"][1] == ["none", None]
    assert found["messages"][-2]["value"] == {"base64": raw, "size": 8, "truncated": False}
    assert found["messages"][-1]["value"] is None

    seen: list[tuple[int, int]] = []
    for direction, start in (("", "earliest"), ("&backward=true", "latest")):
        seen.clear()
        while True:
            page = await browser.get(f"/topics/t/messages?limit=7{direction}&from={start}")
            seen += [(each["partition"], each["offset"]) for each in page["messages"]]
            assert len(page["messages"]) <= 7
            if page["end_reached"]:
                break
            start = "next:" + ",".join(f"{partition}:{offset}" for partition, offset in page["next"].items())
        assert sorted(seen) == [(partition, offset) for partition in range(2) for offset in range(16)], direction
        assert len(set(seen)) == len(seen)

    async def keys(query: str) -> list[str | None]:
        page = await browser.get(f"/topics/t/messages?{query}")
        return [each["key"] and each["key"]["text"] for each in page["messages"]]

    assert await keys("search=%22NUMBER%22:%207,&in=value") == ["key-7"]
    assert await keys("search=%22number%22:%207,&in=key,headers") == []
    assert await keys("key=key-21") == ["key-21"]
    assert await keys("key=key-2") == ["key-2"]
    assert len(await keys("search=test&in=headers&limit=100")) == 30
    assert await keys("partition=1&from=offset:14&limit=1") == ["key-29"]
    assert await keys("partition=1&from=offset:14&limit=2&backward=true") == ["key-29", "key-27"]
    at = found["messages"][10]["timestamp_ms"]
    assert (await keys(f"from=timestamp:{at}&limit=500"))[-1] == "gone"
    assert await keys("from=latest") == []
    one = await browser.get("/topics/t/partitions/1/messages/3")
    assert one["key"]["text"] == "key-7"
    assert (await browser.ask("GET", "/topics/t/partitions/1/messages/99"))[0] == 404
    assert (await browser.ask("GET", "/topics/t/partitions/9/messages/0"))[0] == 404
    large = "x" * 100_000
    await browser.change("POST", "/topics/t/messages", {"partition": 0, "value": large})
    (cut,) = (await browser.get("/topics/t/messages?partition=0&backward=true&from=latest&limit=1"))["messages"]
    assert (len(cut["value"]["text"]), cut["value"]["size"], cut["value"]["truncated"]) == (65_536, 100_000, True)
    whole = await browser.get(f"/topics/t/partitions/0/messages/{cut['offset']}")
    assert whole["value"]["text"] == large
    for query in (
        "from=now",
        "from=offset:x",
        "from=next:1",
        "from=next:0:1,0:2",
        "in=values",
        "limit=0",
        "limit=501",
        "limit=1&limit=2",
        "partition=-1",
        "partition=x",
        "backward=1",
        "unknown=1",
        "search=%FF",
    ):
        assert (await browser.ask("GET", f"/topics/t/messages?{query}"))[0] == 400, query
    assert (await browser.ask("GET", "/topics/t/messages?partition=2"))[0] == 404
    for bad in (
        {"partition": 9, "value": "x"},
        {"value": "x", "encoding": "base64"},
        {"value": 5},
        {"value": "x", "headers": [["a"]]},
        {"value": "x", "other": 1},
    ):
        assert (await browser.ask("POST", "/topics/t/messages", bad))[0] in {400, 404}, bad
    too_large = {"value": "x" * 1_500_000}
    assert (await browser.ask("POST", "/topics/t/messages", too_large))[0] == 413
    assert (await browser.get("/topics/t/messages?limit=500"))["scanned"] == 33, "nothing of it was written"


async def test_following(single: Cluster) -> None:
    await single.create_topic("t", partitions=1, replicas=1)
    browser = await browser_of(single)
    with browser.stream("/topics/t/follow") as events:
        await asyncio.to_thread(events.ready)
        # The stream begins at the end: it is there once the first message that is written comes.
        got: list[tuple[str, Any]] = []

        async def first() -> bool:
            await browser.change("POST", "/topics/t/messages", {"value": "live"})
            got.extend(await asyncio.to_thread(events.within, 1.0))
            return bool(got)

        await until(first)
        assert got[0][0] == "message"
        assert got[0][1]["value"]["text"] == "live"


async def test_events(single: Cluster) -> None:
    browser = await browser_of(single)
    with browser.stream("/events") as events:
        await asyncio.to_thread(events.ready)
        await browser.change("POST", "/topics", {"name": "made", "partitions": 1, "replication_factor": 1})
        seen: dict[str, Any] = {}

        async def all_kinds() -> bool:
            for name, content in await asyncio.to_thread(events.within, 2.0):
                if name != "metadata" or content["topics"] == ["made"]:
                    seen[name] = content
            return {"stats", "metadata", "lag"} <= seen.keys()

        await until(all_kinds)
        assert seen["stats"]["controller_id"] == 1


async def test_groups(cluster: Cluster) -> None:
    browser = await browser_of(cluster, 2)
    assert (await browser.get("/groups"))["groups"] == []
    for method, path, body in (
        ("GET", "/groups/g", None),
        ("POST", "/groups/g/reset", {"topic": "t", "to": {"earliest": True}}),
        ("DELETE", "/groups/g", {"confirm": "g"}),
    ):
        assert (await browser.ask(method, path, body))[0] == 404
    assert (await browser.get("/topics?internal=true"))["total"] == 0, "to ask for a group makes no topic of groups"

    await cluster.create_topic("t", partitions=2)
    for _ in range(10):
        await browser.change("POST", "/topics/t/messages", {"value": "x", "partition": 0})
    strange = "a/b?c=d%20 #한"
    path = "/groups/a%2Fb%3Fc%3Dd%2520%20%23%ED%95%9C"
    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_consumer_group_offsets(strange, {TopicPartition("t", 0): 4})
    (listed,) = (await browser.get("/groups"))["groups"]
    assert (listed["id"], listed["state"], listed["total_lag"]) == (strange, "Empty", 6)
    found = await browser.get(path)
    assert found["total_lag"] == 6
    (offset,) = found["offsets"]
    assert (offset["committed"], offset["earliest"], offset["latest"], offset["lag"]) == (4, 0, 10, 6)

    async def sampled() -> Any:
        return (await browser.get(f"{path}/lag"))["samples"]

    assert (await until(sampled))[0]["by_topic"] == {"t": 6}
    dry = {"topic": "t", "partitions": [0], "to": {"shift": -1}, "dry_run": True}
    answer = await browser.change("POST", f"{path}/reset", dry)
    assert answer == {"offsets": [{"topic": "t", "partition": 0, "before": 4, "after": 3}]}
    assert (await browser.get(path))["offsets"][0]["committed"] == 4
    await browser.change("POST", f"{path}/reset", {"topic": "t", "to": {"latest": True}})
    assert [each["committed"] for each in (await browser.get(path))["offsets"]] == [10, 0]
    for bad in ({}, {"earliest": True, "latest": True}, {"offset": -1}, {"shift": "1"}, {"earliest": False}):
        assert (await browser.ask("POST", f"{path}/reset", {"topic": "t", "to": bad}))[0] == 400, bad
    assert (await browser.ask("POST", f"{path}/reset", {"topic": "u", "to": {"latest": True}}))[0] == 404
    assert (await browser.ask("POST", f"{path}/reset", {"topic": "t", "partitions": [7], "to": {"latest": True}}))[
        0
    ] == 404

    async with Consumer(cluster.bootstrap, group_id="members") as consumer:
        consumer.subscribe(["t"])
        await consumer.poll(10_000)

        async def is_stable() -> bool:
            return bool((await browser.get("/groups/members"))["state"] == "Stable")

        await until(is_stable)
        group = await browser.get("/groups/members")
        assert sum(len(member["partitions"]) for member in group["members"]) == 2
        reset = {"topic": "t", "to": {"earliest": True}}
        status, refused = await browser.ask("POST", "/groups/members/reset", reset)
        assert (status, refused["error"]["code"]) == (409, "NON_EMPTY_GROUP")
        assert (await browser.ask("DELETE", "/groups/members", {"confirm": "members"}))[0] == 409
    assert (await browser.ask("DELETE", path, {"confirm": "a"}))[0] == 400
    await browser.change("DELETE", path, {"confirm": strange})
    assert (await browser.ask("GET", path))[0] == 404


async def test_moving_partitions(cluster: Cluster) -> None:
    browser = await browser_of(cluster)
    await browser.change("POST", "/topics", {"name": "t", "partitions": 4, "replication_factor": 1})
    for partition in range(4):
        await browser.change("POST", "/topics/t/messages", {"value": "x" * 10_000, "partition": partition})
    plan = await browser.change("POST", "/reassignments/plan", {"topics": ["t"], "brokers": [1, 2]})
    moved = [each for each in plan["assignments"] if each["before"] != each["after"]]
    assert moved
    assert all(set(each["after"]) <= {1, 2} for each in plan["assignments"])
    assert all(each["bytes_to_move"] > 10_000 for each in moved if set(each["after"]) - set(each["before"]))
    assert plan["bytes_to_move"] == sum(each["bytes_to_move"] for each in plan["assignments"])
    for bad in (
        {"topics": ["t"], "brokers": [9]},
        {"topics": [], "brokers": [1]},
        {"topics": ["t"], "brokers": [1, 1]},
    ):
        assert (await browser.ask("POST", "/reassignments/plan", bad))[0] == 400, bad
    assert (await browser.ask("POST", "/reassignments/plan", {"topics": ["u"], "brokers": [1]}))[0] == 404
    wanted = [{"topic": "t", "partition": each["partition"], "replicas": each["after"]} for each in moved]
    assert await browser.change("POST", "/reassignments", {"assignments": wanted}) == {"partitions": len(moved)}

    async def done() -> bool:
        return not (await browser.get("/reassignments"))["partitions"]

    await until(done)
    parts = (await browser.get("/topics/t"))["partitions"]
    assert [each["replicas"] for each in parts] == [each["after"] for each in plan["assignments"]]
    twice = {"assignments": wanted[:1] * 2}
    nowhere = {"assignments": [{"topic": "t", "partition": 0, "replicas": [7]}]}
    for refused in (twice, nowhere, {"assignments": []}):
        assert (await browser.ask("POST", "/reassignments", refused))[0] == 400
    assert await browser.change("DELETE", "/reassignments", {}) == {"cancelled": 0}
    assert (await browser.get("/reassignments"))["throttle_bytes_per_s"] is None
    assert (await browser.ask("DELETE", "/reassignments", {"partitions": [{"topic": "t", "partition": 9}]}))[0] == 404
    assert (await browser.ask("POST", "/elections/preferred", {"partitions": [{"topic": "u", "partition": 0}]}))[
        0
    ] == 404
    elected = await browser.change("POST", "/elections/preferred", {"partitions": [{"topic": "t", "partition": 0}]})
    assert elected["results"] == [{"topic": "t", "partition": 0, "error": "ELECTION_NOT_NEEDED"}]


async def test_the_timeline_tells_of_a_broker_that_died(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    browser = await browser_of(cluster, 1)
    (led,) = [each for each in (await browser.get("/topics/t"))["partitions"] if each["leader"] == 3]
    cluster.kill(3)

    async def moved() -> Any:
        events = (await browser.get("/timeline?topic=t"))["events"]
        return [each for each in events if each["partition"] == led["partition"] and each["leader"] not in (3, None)]

    event = (await until(moved))[-1]
    assert event["cause"] in {"broker_unreachable", "broker_silent"}
    assert "broker 3 was fenced" in event["text"]
    then = await browser.get(f"/timeline/state?at_ms={event['time_ms'] - 1}&topic=t")
    now = await browser.get(f"/timeline/state?at_ms={event['time_ms']}&topic=t")
    assert {each["partition"]: each["leader"] for each in then["partitions"]}[led["partition"]] == 3
    assert {each["partition"]: each["leader"] for each in now["partitions"]}[led["partition"]] == event["leader"]
    history = await browser.get(f"/topics/t/partitions/{led['partition']}/history")
    assert history["fenced"] == [3]
    assert any("broker 3 was fenced" in sentence for sentence in history["sentences"])
    # What can be had is told while a broker is away.
    overview = await browser.get("/cluster")
    assert {each["id"]: each["state"] for each in overview["brokers"]}[3] == "offline"
    assert (await browser.get("/brokers/3"))["configs"] is None
    assert (await browser.get("/topics"))["topics"][0]["under_replicated"] == 3


async def test_bad_input_changes_nothing(single: Cluster) -> None:
    await single.create_topic("t", partitions=1, replicas=1)
    browser = await browser_of(single)
    before = await browser.get("/topics?internal=true")
    new = {"name": "evil"}
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"X_CSRF_Token": ""}, 403),
        ({"X_CSRF_Token": "0" * 64}, 403),
        ({"Cookie": ""}, 403),
        ({"Cookie": "raftkafka_1=made.up"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Authorization": "Bearer nonsense", "X_CSRF_Token": ""}, 403),
    ):
        assert (await browser.ask("POST", "/topics", new, **headers))[0] == status, headers
    for body, status in (
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": "a", "partitions": 1e3}', 400),
        (b'{"name": "a", "partitions": true}', 400),
        (b'{"name": "a", "partitions": -1}', 400),
        (b'{"name": "a", "partitions": ' + b"9" * 5_000 + b"}", 400),
        (b'{"name": "a", "configs": []}', 400),
        (b'{"name": "a", "configs": {"no.such": "1"}}', 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"name": "../etc"}', 400),
        (b'{"name": "a b"}', 400),
        (b'{"name": ""}', 400),
        (b'{"name": "a", "replication_factor": 9}', 400),
        (b"[" * 100_000, 400),
        (b'{"name": "' + b"a" * 3_000_000 + b'"}', 413),
    ):
        assert (await browser.ask("POST", "/topics", body))[0] == status, body[:60]
    for method, path, status in (
        ("GET", "/topics/none", 404),
        ("GET", "/topics/%2e%2e%2fetc%2fpasswd", 404),
        ("GET", "/topics/../../../etc/passwd", 404),
        ("GET", "/topics/t%2Fmessages", 404),
        ("GET", "/topics/%FF", 400),
        ("GET", "/topics//messages", 404),
        ("GET", "/topics/t/partitions/x/history", 400),
        ("GET", "/topics/t/partitions/-1/history", 400),
        ("GET", "/topics/t/partitions/99999999999999999999999/history", 400),
        ("GET", "/topics/t/partitions/1/history", 404),
        ("GET", "/brokers/x", 400),
        ("GET", "/brokers/7", 404),
        ("GET", "/topics?limit=1001", 400),
        ("GET", "/topics?limit=" + "9" * 4_000, 400),
        ("GET", "/topics?search=" + "a" * 20_000, 431),
        ("GET", "/topics?" + "&".join(["a"] * 60), 400),
        ("GET", "/nothing", 404),
        ("GET", "/timeline?from_ms=-1", 400),
        ("GET", "/timeline/state", 400),
        ("PATCH", "/topics", 405),
        ("DELETE", "/cluster", 405),
        ("PUT", "/topics/t", 405),
        ("POST", "/topics/none/messages", 400),
    ):
        assert (await browser.ask(method, path))[0] == status, (method, path)
    assert await browser.get("/topics?internal=true") == before
    assert (await browser.ask("HEAD", "/topics"))[0] == 200


async def test_a_thousand_streams_are_too_many(single: Cluster) -> None:
    browser = await browser_of(single)
    await browser.get("/cluster")
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: {HOST}:{browser.port}\r\n\r\n".encode()
    answers: dict[int, int] = {}
    held: list[asyncio.StreamWriter] = []

    async def open_one() -> None:
        try:
            reader, writer = await asyncio.open_connection(HOST, browser.port)
            held.append(writer)
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE_S)
            status = int(head.split(b" ")[1])
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        answers[status] = answers.get(status, 0) + 1

    try:
        for _ in range(20):
            await asyncio.gather(*(open_one() for _ in range(50)))
        assert answers.pop(200) == 64
        assert answers.keys() <= {429, 503}, answers
        assert answers[429] > 0
        # The node goes on, for those who want no stream.
        assert (await browser.ask("GET", "/cluster"))[0] == 200
        status, _, _ = await asyncio.to_thread(browser.send, "GET", "/health/ready", None, {})
        assert status == 200
    finally:
        for writer in held:
            writer.close()

    async def room_again() -> bool:
        def first_line() -> int:
            connection = http.client.HTTPConnection(HOST, browser.port, timeout=20)
            try:
                connection.request("GET", "/api/v1/events")
                return connection.getresponse().status
            finally:
                connection.close()

        return await asyncio.to_thread(first_line) == 200

    await until(room_again)


async def test_slow_clients_hold_up_nobody(single: Cluster) -> None:
    browser = await browser_of(single)
    _, writer = await asyncio.open_connection(HOST, browser.port)
    writer.write(b"POST /api/v1/topics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    assert (await browser.get("/topics"))["total"] == 0
    writer.close()


async def test_a_node_that_others_can_reach_wants_a_token(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(1)
    port = cluster.place(1).ports.http
    cluster.configure(1, {"http.listener": f"HTTP://0.0.0.0:{port}", "allow.insecure.listeners": "true"})
    cluster.start()
    await cluster.ready()
    await cluster.logged(1, "metrics and health only")

    def ask(path: str) -> int:
        connection = http.client.HTTPConnection(HOST, port, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    for path, status in (("/metrics", 200), ("/", 404), ("/api/v1/topics", 404), ("/api/v1/session", 404)):
        assert await asyncio.to_thread(ask, path) == status

    secret = cluster.directory / "token"
    secret.write_text(f"{TOKEN}\n")
    await cluster.stop(1)
    cluster.configure(
        1,
        {
            "http.listener": f"HTTP://0.0.0.0:{port}",
            "allow.insecure.listeners": "true",
            "http.auth.token.file": str(secret),
        },
    )
    cluster.start(1)
    await cluster.ready()
    browser = await browser_of(cluster)
    assert browser.session["login_required"] is True
    assert browser.session["user"] is None
    assert (await browser.ask("GET", "/topics"))[0] == 401
    assert (await browser.ask("POST", "/topics", {"name": "t"}))[0] == 401
    assert (await browser.ask("POST", "/login", {"token": "wrong"}))[0] == 401
    assert (await browser.ask("POST", "/login", {"token": TOKEN}, X_CSRF_Token=""))[0] == 403
    cookie = await asyncio.to_thread(browser.log_in, TOKEN)
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert browser.session["user"] == "admin"
    await browser.change("POST", "/topics", {"name": "t", "partitions": 1, "replication_factor": 1})
    assert (await browser.get("/topics"))["total"] == 1
    await browser.change("POST", "/logout", {})
    assert (await browser.ask("GET", "/topics"))[0] == 401
    program = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    status, _, _ = await asyncio.to_thread(
        browser.send, "DELETE", "/api/v1/topics/t", json.dumps({"confirm": "t"}).encode(), program
    )
    assert status == 204
