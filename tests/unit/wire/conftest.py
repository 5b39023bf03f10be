"""Generated values of every message, built from the types of the model's fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from raftkafka.model import ids
from raftkafka.model.api import (
    broker_lifecycle,
    cluster,
    committed_offsets,
    configs,
    delete_records,
    elections,
    features,
    fetch,
    groups,
    history,
    log_dirs,
    membership,
    offsets,
    partitions,
    produce,
    producers,
    quorum,
    quotas,
    reassignments,
    sasl,
    topics,
    znodes,
)
from raftkafka.model.errors import ErrorCode
from tests import zookeeper_values

_MODULES = (
    broker_lifecycle,
    cluster,
    committed_offsets,
    configs,
    delete_records,
    elections,
    features,
    fetch,
    history,
    groups,
    log_dirs,
    membership,
    offsets,
    partitions,
    produce,
    producers,
    quorum,
    quotas,
    reassignments,
    sasl,
    topics,
    znodes,
)
_INT32 = st.integers(0, 2**31 - 1)
_OR_NONE_32 = st.integers(-1, 2**31 - 1)
_OR_NONE_64 = st.integers(-1, 2**63 - 1)
_NEWTYPES = {
    ids.NodeId: _OR_NONE_32,
    ids.LeaderEpoch: _OR_NONE_32,
    ids.PartitionEpoch: _OR_NONE_32,
    ids.PartitionIndex: _INT32,
    ids.BrokerEpoch: _OR_NONE_64,
    ids.Offset: _OR_NONE_64,
    ids.GenerationId: _OR_NONE_32,
    ids.GroupId: st.text(max_size=8),
    ids.MemberId: st.text(max_size=8),
    ids.Term: st.integers(0, 2**63 - 1),
    ids.RaftIndex: _OR_NONE_64,
    ids.TimestampMs: _OR_NONE_64,
    ids.ProducerId: _OR_NONE_64,
    ids.TopicId: st.binary(min_size=16, max_size=16),
    ids.DirectoryId: st.binary(min_size=16, max_size=16),
}
_RANGES = {
    "broker_id": _INT32,
    "voter_id": _INT32,
    "step": st.sampled_from(znodes.SessionStep),
    "change": zookeeper_values.CHANGES,
    "producer_epoch": st.integers(-1, 2**15 - 1),
    "acks": st.integers(-1, 1),
    "key_type": st.integers(0, 1),
    "election_type": st.integers(0, 1),
    "resource_type": st.integers(0, 127),
    "cause": st.integers(0, 13),
    "match_type": st.integers(0, 2),
    "operation": st.integers(0, 3),
    "source": st.integers(0, 5),
    "config_type": st.integers(0, 9),
    "isolation_level": st.integers(0, 1),
    "api_key": st.integers(0, 100),
    "min_version": st.integers(0, 9),
    "max_version": st.integers(0, 9),
    "port": st.integers(0, 65_535),
    "incarnation_id": st.binary(min_size=16, max_size=16),
    "voter_directory_id": st.binary(min_size=16, max_size=16),
    "records": st.binary(max_size=40).map(lambda raw: memoryview(bytearray(raw))),
}


def _of(hint: object, name: str, owner: type | None = None) -> st.SearchStrategy:
    if name == "node_id" and owner is broker_lifecycle.IsrMember:
        return _INT32  # a member is never "none"
    if name in _RANGES:
        return _RANGES[name]
    if hint in _NEWTYPES:
        return _NEWTYPES[hint]
    if hint is bool:
        return st.booleans()
    if hint is int:
        return _INT32
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if hint is str:
        return st.text(max_size=8)
    if hint is bytes:
        return st.binary(max_size=20)
    if hint is ErrorCode:
        return st.sampled_from(ErrorCode)
    if dataclasses.is_dataclass(hint):
        return values_of(hint)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(_of(arguments[0], ""), max_size=3).map(tuple)
        return st.tuples(*(_of(argument, "") for argument in arguments))
    if typing.get_origin(hint) in {typing.Union, types.UnionType} and type(None) in arguments:
        (other,) = (argument for argument in arguments if argument is not type(None))
        return st.none() | _of(other, "")
    raise TypeError(f"no strategy for {hint} of {name}")


def values_of(cls: type) -> st.SearchStrategy:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: _of(hints[field.name], field.name, cls) for field in dataclasses.fields(cls)})


def _messages() -> Iterator[tuple[type, type]]:
    for module in _MODULES:
        for name, cls in vars(module).items():
            if (
                getattr(cls, "__module__", "") == module.__name__
                and hasattr(cls, "api_key")
                and hasattr(module, f"{name}Response")
            ):
                yield cls, getattr(module, f"{name}Response")


@pytest.fixture(scope="session")
def requests() -> st.SearchStrategy:
    """Any request of any API."""
    return st.one_of([values_of(request) for request, _ in _messages()])


@pytest.fixture(scope="session")
def exchanges() -> st.SearchStrategy:
    """Any request with any response to it."""
    return st.one_of([st.tuples(values_of(request), values_of(response)) for request, response in _messages()])


@pytest.fixture(scope="session")
def message_classes() -> list[tuple[type, type]]:
    return list(_messages())
