"""Generated values of ZooKeeper's protocol: each operation with answers that may come to it."""

from __future__ import annotations

from hypothesis import strategies as st

from raftkafka.model.zookeeper import ops
from raftkafka.model.zookeeper import requests as rq
from raftkafka.model.zookeeper.acl import Acl, Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import AddWatchMode, EventType, KeeperState, WatchedEvent, WatcherType
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.stat import Stat

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PATHS = st.lists(NAMES, max_size=3).map(lambda names: "/" + "/".join(names))
BUFFERS = st.none() | st.binary(max_size=20)
STATS = st.builds(
    Stat,
    czxid=INT64,
    mzxid=INT64,
    ctime_ms=INT64,
    mtime_ms=INT64,
    version=INT32,
    cversion=INT32,
    aversion=INT32,
    ephemeral_owner=INT64,
    data_length=INT32,
    num_children=INT32,
    pzxid=INT64,
)
ACLS = st.lists(st.builds(Acl, perms=INT32, scheme=NAMES, id=NAMES), max_size=3).map(tuple)
IDENTITIES = st.lists(st.builds(Identity, scheme=NAMES, id=NAMES), max_size=3).map(tuple)
ERRORS = st.sampled_from([code for code in ZkErrorCode if code is not ZkErrorCode.OK])
MANY_PATHS = st.lists(PATHS, max_size=3).map(tuple)

_PLAIN_CREATES = st.builds(ops.Create, path=PATHS, data=BUFFERS, acl=ACLS, mode=st.sampled_from(CreateMode))
_CREATES_WITH_STAT = st.builds(
    ops.Create,
    path=PATHS,
    data=BUFFERS,
    acl=ACLS,
    mode=st.sampled_from([mode for mode in CreateMode if not mode.ttl]),
    with_stat=st.just(True),
)
_CREATES_WITH_TTL = st.builds(
    ops.Create,
    path=PATHS,
    data=BUFFERS,
    acl=ACLS,
    mode=st.sampled_from([mode for mode in CreateMode if mode.ttl]),
    ttl_ms=INT64,
    with_stat=st.just(True),
)
_CREATES_WITH_A_TTL_TOO_MUCH = st.builds(
    ops.Create,
    path=PATHS,
    data=BUFFERS,
    acl=ACLS,
    mode=st.sampled_from(CreateMode),
    ttl_ms=st.integers(0, 2**63 - 1),
    with_stat=st.just(True),
)
CREATES = _PLAIN_CREATES | _CREATES_WITH_STAT | _CREATES_WITH_TTL | _CREATES_WITH_A_TTL_TOO_MUCH
DELETES = st.builds(ops.Delete, path=PATHS, version=INT32)
SET_DATAS = st.builds(ops.SetData, path=PATHS, data=BUFFERS, version=INT32)
CHECKS = st.builds(ops.Check, path=PATHS, version=INT32)
_PLAIN_CREATED = st.builds(ops.CreateResult, path=PATHS)
_CREATED_WITH_STAT = st.builds(ops.CreateResult, path=PATHS, stat=STATS)
_SET = st.builds(ops.SetDataResult, stat=STATS)
_GET_DATA = st.builds(rq.GetData, path=PATHS, watch=st.booleans())
_GET_CHILDREN = st.builds(rq.GetChildren, path=PATHS, watch=st.booleans())
_GOT_DATA = st.builds(rq.GetDataResult, data=BUFFERS, stat=STATS)
_GOT_CHILDREN = st.builds(rq.GetChildrenResult, children=st.lists(NAMES, max_size=4).map(tuple))
_ANY_ERROR = st.builds(ops.ErrorResult, code=st.sampled_from(ZkErrorCode))
_DONE = st.just(rq.Done())


def _some(*each: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.one_of(*each), max_size=4).map(tuple)


EXCHANGES = (
    (_PLAIN_CREATES, _PLAIN_CREATED),
    (_CREATES_WITH_STAT, _CREATED_WITH_STAT),
    (_CREATES_WITH_TTL, _CREATED_WITH_STAT),
    (DELETES, st.just(ops.DeleteResult())),
    (SET_DATAS, _SET),
    (st.builds(ops.SetAcl, path=PATHS, acl=ACLS, version=INT32), st.builds(ops.SetAclResult, stat=STATS)),
    (CHECKS, st.just(ops.CheckResult())),
    (
        st.builds(ops.Multi, operations=_some(CREATES, DELETES, SET_DATAS, CHECKS)),
        st.builds(
            ops.MultiResult,
            results=_some(
                _PLAIN_CREATED,
                _CREATED_WITH_STAT,
                st.just(ops.DeleteResult()),
                _SET,
                st.just(ops.CheckResult()),
                _ANY_ERROR,
            ),
        ),
    ),
    (st.builds(rq.Exists, path=PATHS, watch=st.booleans()), st.builds(rq.ExistsResult, stat=STATS)),
    (_GET_DATA, _GOT_DATA),
    (_GET_CHILDREN, _GOT_CHILDREN),
    (
        st.builds(rq.GetChildren, path=PATHS, watch=st.booleans(), with_stat=st.just(True)),
        st.builds(rq.GetChildrenResult, children=st.lists(NAMES, max_size=4).map(tuple), stat=STATS),
    ),
    (st.builds(rq.GetAcl, path=PATHS), st.builds(rq.GetAclResult, acl=ACLS, stat=STATS)),
    (st.builds(rq.GetEphemerals, prefix=PATHS), st.builds(rq.GetEphemeralsResult, paths=MANY_PATHS)),
    (
        st.builds(rq.GetAllChildrenNumber, path=PATHS),
        st.builds(rq.GetAllChildrenNumberResult, count=st.integers(0, 2**31 - 1)),
    ),
    (
        st.builds(rq.MultiRead, reads=_some(_GET_DATA, _GET_CHILDREN)),
        st.builds(rq.MultiReadResult, results=_some(_GOT_DATA, _GOT_CHILDREN, _ANY_ERROR)),
    ),
    (st.builds(rq.Sync, path=PATHS), st.builds(rq.SyncResult, path=PATHS)),
    (
        st.builds(
            rq.SetWatches,
            relative_zxid=INT64,
            data=MANY_PATHS,
            exist=MANY_PATHS,
            child=MANY_PATHS,
            persistent=MANY_PATHS,
            persistent_recursive=MANY_PATHS,
        ),
        _DONE,
    ),
    (st.builds(rq.AddWatch, path=PATHS, mode=st.sampled_from(AddWatchMode)), _DONE),
    (st.builds(rq.CheckWatches, path=PATHS, kind=st.sampled_from(WatcherType)), _DONE),
    (st.builds(rq.RemoveWatches, path=PATHS, kind=st.sampled_from(WatcherType)), _DONE),
    (st.builds(rq.Auth, scheme=NAMES, auth=st.binary(max_size=20)), _DONE),
    (st.just(rq.WhoAmI()), st.builds(rq.WhoAmIResult, identities=IDENTITIES)),
    (st.builds(rq.Sasl, token=BUFFERS), st.builds(rq.SaslResult, token=BUFFERS)),
    (
        st.builds(rq.Reconfig, joining=NAMES, leaving=NAMES, new_members=NAMES, config_id=INT64),
        st.builds(rq.ReconfigResult, data=BUFFERS, stat=STATS),
    ),
    (st.just(rq.Ping()), _DONE),
    (st.just(rq.CloseSession()), _DONE),
)
CHANGES = st.one_of(*(request for request, _ in EXCHANGES[:8]))
REQUESTS = st.one_of(*(request for request, _ in EXCHANGES))
EVENTS = st.builds(
    WatchedEvent, kind=st.sampled_from(EventType), state=st.sampled_from(KeeperState), path=PATHS, zxid=INT64
)
CONNECT_REQUESTS = st.builds(
    ConnectRequest,
    timeout_ms=INT32,
    session_id=INT64,
    password=st.binary(max_size=16),
    last_zxid_seen=INT64,
    read_only=st.booleans(),
    protocol_version=INT32,
)
CONNECT_RESPONSES = st.builds(
    ConnectResponse,
    timeout_ms=INT32,
    session_id=INT64,
    password=st.binary(max_size=16),
    read_only=st.booleans(),
    protocol_version=INT32,
)
