"""Metadata, DescribeCluster and DescribeQuorum: what the cluster looks like from this node's image.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.handlers.forwarding import FORWARD_LANE
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.topic_descriptions import TopicDescriptions
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Broker, Image
from raftkafka.model.api.cluster import (
    BrokerEndpoint,
    DescribeCluster,
    DescribeClusterResponse,
    DescribedBroker,
    DescribeQuorum,
    DescribeQuorumResponse,
    Metadata,
    MetadataResponse,
    QuorumReplica,
    TopicMetadata,
)
from raftkafka.model.api.history import (
    DescribePartitionHistory,
    DescribePartitionHistoryResponse,
    PartitionEvent,
)
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, NewTopic
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId
from raftkafka.model.topics import INTERNAL_TOPICS, why_illegal
from raftkafka.ports.consensus import Consensus, VoterState

APPLY_WAIT_S = 1.0
"""How long an answer waits for this node to apply what the controller has committed."""


class MetadataHandler:
    def __init__(
        self,
        *,
        store: MetadataStore,
        consensus: Consensus,
        channel: ControllerChannel,
        auto_create_topics: bool,
        is_current: Callable[[], bool],
        timeout_s: float,
    ) -> None:
        self._store = store
        self._consensus = consensus
        self._channel = channel
        self._auto_create_topics = auto_create_topics
        self._is_current = is_current
        self._timeout_s = timeout_s
        self._descriptions = TopicDescriptions()
        store.subscribe(self._on_change)

    async def metadata(self, context: RequestContext, request: Metadata) -> MetadataResponse:
        self._check_joined()
        refused: dict[str, ErrorCode] = {}
        if request.topics is not None and request.allow_auto_topic_creation and self._auto_create_topics:
            missing = [
                n
                for n in dict.fromkeys(request.topics)
                # Internal topics are created by those who use them, as they need them.
                if n not in self._store.image.topic_ids and n not in INTERNAL_TOPICS and not why_illegal(n)
            ]
            if missing:
                refused = await self._create(missing)
        image = self._store.image
        names: Iterable[str] = sorted(image.topic_ids) if request.topics is None else dict.fromkeys(request.topics)
        return MetadataResponse(
            brokers=tuple(_endpoints(image)),
            cluster_id=image.cluster_id,
            controller_id=self._controller_id(),
            topics=await self._topics(image, names, refused),
        )

    async def _create(self, names: list[str]) -> dict[str, ErrorCode]:
        """Create what is missing with the broker's defaults; which of them could not be created, and why."""
        request = CreateTopics(topics=tuple(NewTopic(name=name) for name in names))
        try:
            answer = await self._channel.ask(request, timeout_s=self._timeout_s, lane=FORWARD_LANE)
        except ApiError:
            return dict.fromkeys(names, ErrorCode.LEADER_NOT_AVAILABLE)
        assert isinstance(answer, CreateTopicsResponse)
        made = (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
        refused = {topic.name: topic.error_code for topic in answer.topics if topic.error_code not in made}
        wanted = [name for name in names if name not in refused]
        await self._store.wait_for(
            lambda image: all(name in image.topic_ids for name in wanted), timeout_s=APPLY_WAIT_S
        )
        return refused

    async def _topics(
        self, image: Image, names: Iterable[str], refused: dict[str, ErrorCode]
    ) -> tuple[TopicMetadata, ...]:
        found = {name: image.topic_by_name(name) for name in names}
        there = [topic for topic in found.values() if topic is not None]
        described = iter(await self._descriptions.describe(image, there))
        for topic in there:
            if topic.topic_id not in self._store.image.topics:
                self._descriptions.forget(topic.topic_id)  # deleted meanwhile
        return tuple([_unknown(name, refused) if topic is None else next(described) for name, topic in found.items()])

    def _on_change(self, image: Image, changes: Changes) -> None:
        for topic_id in changes.topics_deleted:
            self._descriptions.forget(topic_id)

    def _check_joined(self) -> None:
        """A node that has not applied its own registration yet would show an image of before its start, or an empty one.

        Raises:
            ApiError: BROKER_NOT_AVAILABLE, ask another node.
        """
        if not self._is_current():
            raise ApiError(ErrorCode.BROKER_NOT_AVAILABLE, "this node has not joined its cluster yet")

    def _controller_id(self) -> NodeId:
        leader = self._consensus.leader_id
        return NO_NODE if leader is None else leader

    async def describe_cluster(self, context: RequestContext, request: DescribeCluster) -> DescribeClusterResponse:
        self._check_joined()
        image = self._store.image
        return DescribeClusterResponse(
            cluster_id=image.cluster_id,
            controller_id=self._controller_id(),
            feature_level=image.feature_level,
            brokers=tuple(
                DescribedBroker(
                    node_id=broker.node_id,
                    host=broker.listeners[0].host,
                    port=broker.listeners[0].port,
                    rack=broker.rack,
                    fenced=broker.fenced,
                )
                for _, broker in sorted(image.brokers.items())
            ),
        )

    def describe_history(
        self, context: RequestContext, request: DescribePartitionHistory
    ) -> DescribePartitionHistoryResponse:
        image = self._store.image
        topic = image.topic_by_name(request.topic)
        partition = None if topic is None else topic.partition(request.partition)
        if topic is None or partition is None:
            what = "topic" if topic is None else f"partition {request.partition} of topic"
            return DescribePartitionHistoryResponse(
                error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                error_message=f"The {what} '{request.topic}' does not exist.",
            )
        return DescribePartitionHistoryResponse(
            topic_id=topic.topic_id,
            leader=partition.leader,
            leader_epoch=partition.leader_epoch,
            replicas=partition.replicas,
            isr=partition.isr,
            elr=partition.elr,
            adding=partition.adding,
            removing=partition.removing,
            fenced=tuple(each for each in partition.replicas if _is_out(image, each)),
            events=tuple(
                PartitionEvent(
                    time_ms=each.time_ms,
                    cause=each.cause,
                    node_id=each.node_id,
                    leader=each.leader,
                    leader_epoch=each.leader_epoch,
                    isr=each.isr,
                )
                for each in partition.history
            ),
        )

    async def describe_quorum(self, context: RequestContext, request: DescribeQuorum) -> DescribeQuorumResponse:
        """Only the leader knows how far the others are, so it is asked; a node asks for nobody but clients."""
        if not self._consensus.is_leader and not context.is_node:
            try:
                answer = await self._channel.ask(request, timeout_s=self._timeout_s, lane=FORWARD_LANE)
            except ApiError:
                return self._quorum()
            assert isinstance(answer, DescribeQuorumResponse)
            return answer
        return self._quorum()

    def _quorum(self) -> DescribeQuorumResponse:
        consensus = self._consensus
        return DescribeQuorumResponse(
            leader_id=self._controller_id(),
            term=consensus.term,
            commit_index=consensus.commit_index,
            voters=_replicas(consensus.voters()),
            observers=_replicas(consensus.observers()),
        )


def _unknown(name: str, refused: dict[str, ErrorCode]) -> TopicMetadata:
    if why_illegal(name):
        return TopicMetadata(name=name, error_code=ErrorCode.INVALID_TOPIC_EXCEPTION)
    return TopicMetadata(name=name, error_code=refused.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))


def _replicas(states: Iterable[VoterState]) -> tuple[QuorumReplica, ...]:
    return tuple(
        [
            QuorumReplica(node_id=each.node_id, log_end_index=each.match_index, connected=each.connected)
            for each in states
        ]
    )


def _endpoints(image: Image) -> list[BrokerEndpoint]:
    return [_endpoint(broker) for _, broker in sorted(image.brokers.items()) if not broker.fenced]


def _endpoint(broker: Broker) -> BrokerEndpoint:
    advertised = broker.listeners[0]
    return BrokerEndpoint(node_id=broker.node_id, host=advertised.host, port=advertised.port, rack=broker.rack)


def _is_out(image: Image, node_id: NodeId) -> bool:
    broker = image.brokers.get(node_id)
    return broker is None or broker.fenced
