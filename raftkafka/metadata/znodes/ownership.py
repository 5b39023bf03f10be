"""Which nodes are Kafka's: what clients may do to the tree there, whoever has decided it.

Floor 1, pure. A write to one of them that means something becomes a command of the metadata before it gets here (`decide.znodes`); what
still comes as an operation of the tree would make it say what is not true, and is refused with NOAUTH.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from raftkafka.metadata.znodes.tree import KAFKA_PARENTS
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Check, Create, Delete, SetAcl, SingleOp

_PARENTS: Final = frozenset(KAFKA_PARENTS)
_OWN: Final = ("/brokers/ids/", "/brokers/topics/", "/cluster/", "/config/brokers/", "/latest_producer_id_block")
"""What begins so is written by the cluster alone."""
_OWN_NODES: Final = frozenset(("/controller", "/controller_epoch"))
_TOPIC_CONFIGS: Final = "/config/topics/"
_PLAIN: Final = ("/admin/", "/config/", "/brokers/")
"""Below these there are no nodes that go by themselves: the cluster writes there, too."""


def rule(topics: Container[str]) -> Callable[[SingleOp], None]:
    """What a client may not do, while there are these topics."""

    def check(operation: SingleOp) -> None:
        path = operation.path
        if isinstance(operation, Check | SetAcl):
            return
        if path in _OWN_NODES or path.startswith(_OWN):
            raise ZkError(ZkErrorCode.NOAUTH, f"{path} is the cluster's")
        if isinstance(operation, Delete) and path in _PARENTS:
            raise ZkError(ZkErrorCode.NOAUTH, f"{path} is always there")
        if path.startswith(_TOPIC_CONFIGS):
            name = path.removeprefix(_TOPIC_CONFIGS)
            if isinstance(operation, Create) and operation.mode is not CreateMode.PERSISTENT:
                raise ZkError(ZkErrorCode.BADARGUMENTS, f"{path}: the name of a topic has no number")
            if name in topics or "/" in name:
                raise ZkError(ZkErrorCode.NOAUTH, f"{path} is the topic's")
        if isinstance(operation, Create) and path.startswith(_PLAIN) and operation.mode not in _PERSISTENT:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{path}: Kafka's nodes do not go by themselves")

    return check


def cluster_rule(operation: SingleOp) -> None:
    """What not even the cluster does."""
    if isinstance(operation, Delete) and operation.path in _PARENTS:
        raise ZkError(ZkErrorCode.NOAUTH, f"{operation.path} is always there")


_PERSISTENT: Final = (CreateMode.PERSISTENT, CreateMode.PERSISTENT_SEQUENTIAL)
