"""Mutated frames of ZooKeeper's protocol against the server's session: `make fuzz`, or a part of it in the unit tests.

Nothing but ProtocolError may leave the session; what a frame leaves in memory is at most AMPLIFICATION_MAX times its size; every
whole request is answered, with an error of the session where it could not be read. A failure prints the seed and the bytes.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
import tracemalloc
from collections import Counter

from raftkafka.model.errors import ProtocolError
from raftkafka.model.zookeeper import ops
from raftkafka.model.zookeeper import requests as rq
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl
from raftkafka.model.zookeeper.events import AddWatchMode, WatcherType
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.wire.zookeeper.session import FRAME_MAX_BYTES, ClientSession, ServerSession
from raftkafka.wire.zookeeper.words import Word

AMPLIFICATION_MAX = 40
"""Bytes in memory per byte of a frame: an access control list of empty entries is the worst, 12 bytes for 100 and a reference."""
MEASURED_EVERY = 50
FREE_BYTES = 16 << 10
"""What a session may take for any frame, however short."""

_ACL = (Acl(perms=31, scheme="digest", id="user:hash"), *OPEN_ACL)
_CREATES = tuple(
    ops.Create(path=f"/kafka-manager/n{mode.value}", data=b"data", acl=_ACL, mode=mode, with_stat=with_stat)
    for mode in CreateMode
    for with_stat in (False, True)
)
REQUESTS: tuple[rq.Request, ...] = (
    *_CREATES,
    ops.Delete(path="/a/b", version=3),
    ops.SetData(path="/brokers/topics/t", data=b'{"version":1,"partitions":{"0":[1,2]}}', version=4),
    ops.SetData(path="/large", data=bytes(20_000)),
    ops.SetAcl(path="/a", acl=_ACL),
    ops.Check(path="/a", version=2),
    ops.Multi(
        operations=(*_CREATES[:4], ops.Check(path="/a"), ops.Delete(path="/b"), ops.SetData(path="/c", data=None))
    ),
    rq.Exists(path="/a", watch=True),
    rq.GetData(path="/zookeeper/config", watch=True),
    rq.GetChildren(path="/brokers/ids", watch=True),
    rq.GetChildren(path="/brokers/ids", with_stat=True),
    rq.GetAcl(path="/a"),
    rq.GetEphemerals(prefix="/a"),
    rq.GetAllChildrenNumber(path="/"),
    rq.MultiRead(reads=(rq.GetData(path="/a"), rq.GetChildren(path="/b"))),
    rq.Sync(path="/"),
    rq.SetWatches(relative_zxid=7, data=("/a", "/b"), exist=("/c",), child=("/d",)),
    rq.SetWatches(relative_zxid=7, data=("/a",) * 500, persistent=("/e",), persistent_recursive=("/f",)),
    rq.AddWatch(path="/a", mode=AddWatchMode.PERSISTENT_RECURSIVE),
    rq.CheckWatches(path="/a", kind=WatcherType.ANY),
    rq.RemoveWatches(path="/a", kind=WatcherType.DATA),
    rq.Auth(scheme="digest", auth=b"user:secret"),
    rq.WhoAmI(),
    rq.Sasl(token=b"token"),
    rq.Reconfig(joining="server.1=a", leaving="", new_members="", config_id=-1),
    rq.Ping(),
    rq.CloseSession(),
    rq.Unknown(op_code=99),
)
_CONNECTS = tuple(
    ClientSession.encode_connect(
        ConnectRequest(timeout_ms=10_000, session_id=session_id, password=bytes(16), read_only=read_only)
    )
    for session_id in (0, 0x1000_0000_0001)
    for read_only in (False, True)
)
_FRAMES = tuple(ClientSession().encode_request(number, request) for number, request in enumerate(REQUESTS))
_OPENINGS = (*_CONNECTS, *(word.value for word in Word))
_NUMBERS = (-(2**31), -2, -1, 0, 1, 2, 100, 0xFFFF, 0xFFFFF, FRAME_MAX_BYTES, 2**31 - 1)


def mutated(rng: random.Random, frame: bytes) -> bytes:
    """`frame` after one to four changes; mostly with a length that is right again, so that its body is looked at."""
    found = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found)) if found else 0
        match rng.randrange(8):
            case 0 if found:
                found[at] ^= 1 << rng.randrange(8)
            case 1 if found:
                found[at] = rng.randrange(256)
            case 2:
                del found[at : at + rng.randint(1, 8)]
            case 3:
                found[at:at] = rng.randbytes(rng.randint(1, 8))
            case 4:
                found[at : at + 4] = struct.pack(">i", rng.choice(_NUMBERS))
            case 5:
                del found[at:]
            case 6:
                other = rng.choice(_FRAMES)
                found[at:] = other[rng.randrange(len(other)) :]
            case _:
                found[at:at] = found[at : at + rng.randint(1, 64)] * rng.randint(1, 20)
    if rng.random() < 0.8 and len(found) > 4:
        found[:4] = struct.pack(">i", len(found) - 4)
    return bytes(found)


def feed(received: bytes, *, opened: bool, counts: Counter[str]) -> object:
    """What a session makes of `received`, all of it; the result keeps alive what it holds in memory."""
    session = ServerSession()
    if opened:
        session.receive(memoryview(_CONNECTS[0]))
    kept: list[object] = [session]
    view = memoryview(received)
    while True:
        try:
            found = session.receive(view, limit=16)
        except ProtocolError:
            counts["refused"] += 1
            return kept
        kept.append(found)
        if isinstance(found.opening, ConnectRequest):
            session.encode_connect(ConnectResponse(timeout_ms=1, session_id=1))
        for incoming in found.requests:
            counts["read" if incoming.error is None else incoming.error.name] += 1
            assert (incoming.request is None) == (incoming.error is not None)
            if incoming.error is not None:
                session.encode_reply(incoming, rq.Reply(answer=ops.ErrorResult(code=incoming.error)))
        assert 0 <= found.needed <= 4 + FRAME_MAX_BYTES
        if not found.consumed:
            counts["unfinished" if view else "empty"] += 1
            return kept
        view = view[found.consumed :]


def _measured(received: bytes, *, opened: bool, counts: Counter[str]) -> None:
    tracemalloc.start()
    try:
        kept = feed(received, opened=opened, counts=counts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = FREE_BYTES + AMPLIFICATION_MAX * len(received)
    assert peak <= allowed, f"{peak} bytes for {len(received)} received ones, {allowed} allowed"
    del kept


def run(*, frames: int, seed: int) -> Counter[str]:
    """Feeds `frames` mutated frames; what became of them, by kind."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(frames):
        opened = rng.random() < 0.9
        received = mutated(rng, rng.choice(_FRAMES if opened else _OPENINGS))
        if rng.random() < 0.2:
            received += rng.choice(_FRAMES)
        try:
            if number % MEASURED_EVERY:
                feed(received, opened=opened, counts=counts)
            else:
                _measured(received, opened=opened, counts=counts)
        except BaseException:
            print(f"seed {seed}, frame {number}, {'opened' if opened else 'not opened'}: {received.hex()}")
            raise
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    started = time.process_time()
    counts = run(frames=given.frames, seed=given.seed)
    print(f"{given.frames} frames of seed {given.seed} in {time.process_time() - started:.0f} s of CPU: {dict(counts)}")


if __name__ == "__main__":
    sys.exit(main())
