"""One line about a running node, as `systemctl status` shows it. Floor 5."""

from __future__ import annotations

from raftkafka.node.lifecycle import Node


def status_line(node: Node) -> str:
    """What the node waits for, or who leads Raft, and how its partitions are."""
    ready, reason = node.ready()
    if not ready:
        return reason
    parts, own = node.parts, node.settings.node_id
    consensus = parts.consensus
    duty = "controller" if consensus.is_leader else f"the controller is node {consensus.leader_id}"
    return f"{duty}, term {consensus.term}; {_partitions(node, own)}"


def _partitions(node: Node, own: int) -> str:
    held = sum(1 for _, state in node.image.partitions() if own in state.replicas)
    opened = led = short = offline = 0
    for partition in node.parts.replicas:
        opened += 1
        offline += partition.offline is not None
        state = partition.state
        if partition.is_leader and state is not None:
            led += 1
            short += len(state.isr) < len(state.replicas) - len(state.adding)
    line = f"leads {led} of {held} partitions here"
    if opened < held:
        line += f", {held - opened} logs are being opened"
    if short:
        line += f", {short} lack replicas"
    if offline:
        line += f", {offline} are offline"
    return line
