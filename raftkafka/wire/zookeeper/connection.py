"""Operations about the connection: ping, closeSession, auth, whoAmI, sasl, reconfig. Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.zookeeper.requests import (
    Auth,
    CloseSession,
    Done,
    Ping,
    Reconfig,
    ReconfigResult,
    Sasl,
    SaslResult,
    WhoAmI,
    WhoAmIResult,
)
from raftkafka.wire.zookeeper.jute import INT32, INT64, Reader, buffer, string
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.records import read_identities, read_stat, write_identities, write_stat
from raftkafka.wire.zookeeper.rows import Row, done, empty


def _read_auth(reader: Reader) -> Auth:
    reader.int32()  # a kind, of which there is one
    return Auth(scheme=reader.string(), auth=reader.buffer() or b"")


def _read_reconfig(reader: Reader) -> Reconfig:
    return Reconfig(
        joining=reader.string(), leaving=reader.string(), new_members=reader.string(), config_id=reader.int64()
    )


def _write_reconfig(request: Reconfig) -> bytes:
    names = string(request.joining) + string(request.leaving) + string(request.new_members)
    return names + INT64.pack(request.config_id)


ROWS: Final = (
    Row(
        code=OpCode.PING,
        request=Ping,
        read_request=lambda _: Ping(),
        write_request=empty,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.CLOSE_SESSION,
        request=CloseSession,
        read_request=lambda _: CloseSession(),
        write_request=empty,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.AUTH,
        request=Auth,
        read_request=_read_auth,
        write_request=lambda request: INT32.pack(0) + string(request.scheme) + buffer(request.auth),
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.WHO_AM_I,
        request=WhoAmI,
        read_request=lambda _: WhoAmI(),
        write_request=empty,
        answer=WhoAmIResult,
        read_answer=lambda reader: WhoAmIResult(identities=read_identities(reader)),
        write_answer=lambda result: write_identities(result.identities),
    ),
    Row(
        code=OpCode.SASL,
        request=Sasl,
        read_request=lambda reader: Sasl(token=reader.buffer()),
        write_request=lambda request: buffer(request.token),
        answer=SaslResult,
        read_answer=lambda reader: SaslResult(token=reader.buffer()),
        write_answer=lambda result: buffer(result.token),
    ),
    Row(
        code=OpCode.RECONFIG,
        request=Reconfig,
        read_request=_read_reconfig,
        write_request=_write_reconfig,
        answer=ReconfigResult,
        read_answer=lambda reader: ReconfigResult(data=reader.buffer(), stat=read_stat(reader)),
        write_answer=lambda result: buffer(result.data) + write_stat(result.stat),
    ),
)
