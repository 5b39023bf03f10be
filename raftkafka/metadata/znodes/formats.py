"""What stands in Kafka's nodes: JSON as its ZooKeeper-era brokers and tools write and read it.

Floor 1, pure. Sources: Kafka 2.4 `kafka.zk.ZkData`; what tools write is parsed here too, and what is not their format is refused with
BADARGUMENTS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from raftkafka.metadata.image import Broker, Event, Partition, Topic
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_ID_MAX: Final = (1 << 31) - 1
DEFAULT: Final = "<default>"
"""The name of the node with what holds for everybody that has no own one."""


def broker(registration: Broker) -> bytes:
    """/brokers/ids/N. There is no JMX here: its port is -1."""
    listeners = registration.listeners
    protocols = {each.name: each.name if each.name in _PROTOCOLS else "PLAINTEXT" for each in listeners}
    plain = [each for each in listeners if protocols[each.name] == "PLAINTEXT"] or list(listeners)
    fields: dict[str, object] = {
        "listener_security_protocol_map": protocols,
        "endpoints": [f"{each.name}://{_host(each.host)}:{each.port}" for each in listeners],
        "jmx_port": -1,
        "host": plain[0].host if plain else None,
        "timestamp": str(registration.unfenced.time_ms),
        "port": plain[0].port if plain else -1,
        "version": 4,
    }
    if registration.rack is not None:
        fields["rack"] = registration.rack
    return _json(fields)


def topic(each: Topic) -> bytes:
    """/brokers/topics/T, version 2 (KIP-455)."""
    partitions = each.partitions
    return _json(
        {
            "version": 2,
            "partitions": {str(partition.index): partition.replicas for partition in partitions},
            "adding_replicas": {str(partition.index): partition.adding for partition in partitions if partition.adding},
            "removing_replicas": {
                str(partition.index): partition.removing for partition in partitions if partition.removing
            },
        }
    )


def state(partition: Partition, last: Event | None) -> bytes:
    """/brokers/topics/T/partitions/N/state."""
    return _json(
        {
            "controller_epoch": 0 if last is None else last.controller_epoch,
            "leader": partition.leader,
            "version": 1,
            "leader_epoch": partition.leader_epoch,
            "isr": partition.isr,
        }
    )


def configs(every: Mapping[str, str]) -> bytes:
    """/config/…"""
    return _json({"version": 1, "config": dict(every)})


def controller(node_id: NodeId, time_ms: int) -> bytes:
    return _json({"version": 1, "brokerid": node_id, "timestamp": str(time_ms)})


def cluster_id(name: str) -> bytes:
    return _json({"version": "1", "id": name})


def parsed_controller(data: bytes | None) -> NodeId:
    """The broker that `controller` names."""
    try:
        found = _object(data).get("brokerid")
    except ZkError:
        return NO_NODE
    return NodeId(int(found)) if found is not None and _is_id(found) else NO_NODE


def producer_ids(node_id: NodeId, first: int, count: int) -> bytes:
    """/latest_producer_id_block, both ends included."""
    return _json({"version": 1, "broker": node_id, "block_start": str(first), "block_end": str(first + count - 1)})


def reassignment(moves: Mapping[tuple[str, int], tuple[NodeId, ...]]) -> bytes:
    """/admin/reassign_partitions"""
    partitions = [
        {"topic": name, "partition": index, "replicas": replicas} for (name, index), replicas in moves.items()
    ]
    return _json({"version": 1, "partitions": partitions})


def sanitized(name: str) -> str:
    """A user or client id as the name of a node (`Sanitizer.sanitize`); the empty one stands for all."""
    if not name:
        return DEFAULT
    # No name of a node may be "." or "..".
    return quote(name, safe="", errors="replace") if name.strip(".") else "%2E" * len(name)


def unsanitized(name: str) -> str:
    return "" if name == DEFAULT else unquote(name)


def parsed_topic(data: bytes | None) -> dict[PartitionIndex, tuple[NodeId, ...]]:
    """The replicas of each partition, in order of the partitions, from version 1, 2 or 3.

    Version 3 (Kafka 2.8, KIP-516) may name a topic id that the tool has drawn. It is not taken: an id that was in use before would make
    what is left of a deleted topic on some disk the log of this one.
    """
    fields = _object(data)
    if fields.get("version") not in (1, 2, 3):
        raise _wrong("a topic's assignment has version 1, 2 or 3")
    partitions = fields.get("partitions")
    if not isinstance(partitions, dict) or not partitions:
        raise _wrong("a topic has partitions")
    found: dict[PartitionIndex, tuple[NodeId, ...]] = {}
    for key, replicas in partitions.items():
        if not (key.isascii() and key.isdigit() and len(key) <= 9):
            raise _wrong(f"{key!r} is no partition")
        found[PartitionIndex(int(key))] = _replicas(replicas)
    return dict(sorted(found.items()))


def parsed_configs(data: bytes | None) -> dict[str, str]:
    """The configs of an entity. Without data there are none: tools create the parents of others so."""
    if not data:
        return {}
    fields = _object(data)
    every = fields.get("config")
    if fields.get("version") != 1 or not isinstance(every, dict):
        raise _wrong('configs are {"version":1,"config":{…}}')
    if not all(isinstance(value, str) for value in every.values()):
        raise _wrong("a config's value is a text")
    return every


def parsed_reassignment(data: bytes | None) -> dict[tuple[str, int], tuple[NodeId, ...]]:
    """The replicas that each named partition is to have; the last one counts where one is named twice."""
    return {key: _replicas(each.get("replicas")) for key, each in _named_partitions(data)}


def parsed_election(data: bytes | None) -> list[tuple[str, int]]:
    """The partitions of /admin/preferred_replica_election."""
    return list(dict.fromkeys(key for key, _ in _named_partitions(data)))


def _named_partitions(data: bytes | None) -> list[tuple[tuple[str, int], dict[str, Any]]]:
    fields = _object(data)
    partitions = fields.get("partitions")
    if fields.get("version") != 1 or not isinstance(partitions, list):
        raise _wrong('what is wanted is {"version":1,"partitions":[…]}')
    found = []
    for each in partitions:
        if not isinstance(each, dict) or not isinstance(each.get("topic"), str) or not _is_id(each.get("partition")):
            raise _wrong("a partition is named by its topic and number")
        found.append(((each["topic"], int(each["partition"])), each))
    return found


def _replicas(value: Any) -> tuple[NodeId, ...]:
    if not isinstance(value, list) or not all(_is_id(each) for each in value):
        raise _wrong("replicas are a list of broker ids")
    return tuple([NodeId(each) for each in value])


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _ID_MAX


def _object(data: bytes | None) -> dict[str, Any]:
    try:
        fields = json.loads(data or b"")
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise _wrong("it is no JSON object")
    return fields


def _wrong(message: str) -> ZkError:
    return ZkError(ZkErrorCode.BADARGUMENTS, message)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _json(fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
