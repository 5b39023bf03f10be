"""Who opened a connection, by its first bytes: a gate between two nodes has to know whose traffic it holds up.

Floor 6, pure. Nodes name themselves at once: on the Raft port in the first message of their proof (see `wire.node_auth`),
on the clients' port by the client id of their first request. Everybody else is a stranger, and nobody's traffic is held up
because it could not be understood.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from raftkafka.model import cbor
from raftkafka.model.errors import ProtocolError
from raftkafka.wire.node_auth import MESSAGE_MAX_BYTES
from raftkafka.wire.session import PREFACE

STRANGER: Final = 0
"""No node: a client, or bytes that say nothing."""

Identify = Callable[[bytes], int | None]
"""From the bytes so far to a node id, STRANGER, or None while they are too few to say."""

_HEADER_MAX_BYTES: Final = 4_096
"""Of the first request of a node; those of clients may be longer."""
_RAFT_LENGTH: Final = struct.Struct("<I")
_FRAME_HEAD: Final = struct.Struct(">II")
_NODE: Final = re.compile(r"node-(\d{1,9})")


def raft_caller(received: bytes) -> int | None:
    if len(received) < _RAFT_LENGTH.size:
        return None
    (length,) = _RAFT_LENGTH.unpack_from(received)
    if length > MESSAGE_MAX_BYTES:
        return STRANGER
    message = received[_RAFT_LENGTH.size : _RAFT_LENGTH.size + length]
    if len(message) < length:
        return None
    fields = _array(message)
    return fields[0] if fields and isinstance(fields[0], int) and fields[0] > 0 else STRANGER


def client_caller(received: bytes) -> int | None:
    if not received.startswith(PREFACE[: len(received)]):
        return STRANGER
    start = len(PREFACE) + _FRAME_HEAD.size
    if len(received) < start:
        return None
    _, header_bytes = _FRAME_HEAD.unpack_from(received, len(PREFACE))
    if header_bytes > _HEADER_MAX_BYTES:
        return STRANGER
    header = received[start : start + header_bytes]
    if len(header) < header_bytes:
        return None
    fields = _array(header)
    named = _NODE.fullmatch(fields[3]) if len(fields) > 3 and isinstance(fields[3], str) else None
    return int(named[1]) if named else STRANGER


def _array(message: bytes) -> list[object]:
    try:
        value = cbor.decode(message, size_max=_HEADER_MAX_BYTES)
    except ProtocolError:
        return []
    return value if isinstance(value, list) else []
