"""The history of a partition in words. Floor 3, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from raftkafka.model.api.history import DescribePartitionHistoryResponse, PartitionCause, PartitionEvent
from raftkafka.model.ids import NO_NODE

_WORDS: Final = {
    PartitionCause.CREATED: "the partition was created",
    PartitionCause.BROKER_SILENT: "broker {node} was fenced: no heartbeat came in time",
    PartitionCause.BROKER_UNREACHABLE: "broker {node} was fenced: its connection was closed and it did not answer",
    PartitionCause.BROKER_BACK: "broker {node} came back",
    PartitionCause.BROKER_SHUTS_DOWN: "broker {node} was asked to stop and gave its leaderships away",
    PartitionCause.BROKER_RESTARTED: "broker {node} was started again",
    PartitionCause.LEADER_REPORTED: "leader {node} reported who is in sync",
    PartitionCause.PREFERRED_ELECTION: "the preferred leader, broker {node}, was elected",
    PartitionCause.UNCLEAN_ELECTION: "an operator asked for a leader, whatever is lost",
    PartitionCause.REPLICA_DAMAGED: "the replica on broker {node} is damaged",
    PartitionCause.REPLICA_OFFLINE: "the replica on broker {node} cannot be served",
    PartitionCause.REASSIGNMENT: "a reassignment was begun, changed or taken back",
    PartitionCause.CONFIGS: "configs were changed",
}
_UNKNOWN: Final = "for a reason that this version does not know"


def sentences(name: str, told: DescribePartitionHistoryResponse) -> Iterator[str]:
    """First what is so now, then what led to it, the newest last."""
    events = told.events
    if told.leader == NO_NODE:
        yield f"{name} has no leader: {_why_nobody_leads(told)}."
    else:
        since = next((each for each in events if each.leader_epoch == told.leader_epoch), None)
        began = "" if since is None else f" since {at(since.time_ms)}, because {cause_words(since)}"
        yield f"{name} is led by broker {told.leader} in leader epoch {told.leader_epoch}{began}."
    yield f"Replicas: {_nodes(told.replicas)}. In sync: {_nodes(told.isr)}."
    for each in told.replicas:
        if each not in told.isr:
            yield f"Broker {each} is not in sync: {_why_not_in_sync(told, each)}."
    if told.adding or told.removing:
        yield f"A reassignment is under way: adding {_nodes(told.adding)}, removing {_nodes(told.removing)}."
    before: PartitionEvent | None = None
    for event in events:
        yield f"{at(event.time_ms)}  {cause_words(event)}: {'; '.join(changes(before, event))}"
        before = event


def document(told: DescribePartitionHistoryResponse) -> dict[str, Any]:
    return {
        "leader": told.leader,
        "leader_epoch": told.leader_epoch,
        "replicas": list(told.replicas),
        "isr": list(told.isr),
        "elr": list(told.elr),
        "adding": list(told.adding),
        "removing": list(told.removing),
        "fenced": list(told.fenced),
        "events": [
            {
                "time": each.time_ms,
                "cause": known_cause(each.cause).name.lower(),
                "node": each.node_id,
                "leader": each.leader,
                "leader_epoch": each.leader_epoch,
                "isr": list(each.isr),
            }
            for each in told.events
        ],
    }


def _why_nobody_leads(told: DescribePartitionHistoryResponse) -> str:
    if not told.elr:
        return "no replica is known to have every committed record; see rk cluster elect-leaders --unclean"
    return f"it waits for {_nodes(told.elr, 'broker', ' or ')}, where every committed record is"


def _why_not_in_sync(told: DescribePartitionHistoryResponse, node_id: int) -> str:
    if node_id in told.fenced:
        return "it is fenced, or not there"
    left = None
    for before, event in zip(told.events, told.events[1:], strict=False):
        if node_id in before.isr and node_id not in event.isr:
            left = event
    if left is None:
        return "it has to catch up first" if node_id in told.adding else "it has to catch up"
    return f"it left at {at(left.time_ms)}, because {cause_words(left)}"


def changes(before: PartitionEvent | None, event: PartitionEvent) -> Iterator[str]:
    """What became different by it."""
    leads = f"broker {event.leader} leads" if event.leader != NO_NODE else "nobody leads"
    if before is None or before.leader_epoch != event.leader_epoch:
        unclean = before is not None and bool(before.isr) and event.leader not in (NO_NODE, *before.isr)
        yield f"{leads} in epoch {event.leader_epoch}{' (it was not in sync before)' if unclean else ''}"
    if before is not None:
        came = [each for each in event.isr if each not in before.isr]
        went = [each for each in before.isr if each not in event.isr]
        if went:
            yield f"{_nodes(went)} left the ISR"
        if came:
            yield f"{_nodes(came)} joined the ISR"
    yield f"in sync {_nodes(event.isr)}"


def cause_words(event: PartitionEvent) -> str:
    """Why it happened."""
    return _WORDS.get(known_cause(event.cause), _UNKNOWN).format(node=event.node_id)


def known_cause(cause: int) -> PartitionCause:
    try:
        return PartitionCause(cause)
    except ValueError:
        return PartitionCause.UNKNOWN


def _nodes(nodes: Iterable[int], word: str = "", between: str = ",") -> str:
    names = between.join(map(str, nodes))
    return f"{word} {names}".strip() or "none"


def at(time_ms: int) -> str:
    if time_ms <= 0:
        return "an unknown time"
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
