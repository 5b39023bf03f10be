"""Topics and the cluster, for administrators; groups are in `group.administration`. Floor 3.

Any node may be asked; those that do not lead forward what is for the controller. Errors are `ApiError`s with the broker's words.
Requests that change something are sent once: when their answer is lost, a `RaftKafkaError` says so and the outcome is
unknown (I18). What one call alone needs is imported by that call: most commands make a single one, and start-up is most of their time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from raftkafka.client.channels import Channel, Connect, parse_bootstrap
from raftkafka.client.connection import Connection
from raftkafka.client.group.administration import GroupAdministration
from raftkafka.client.routing import Router
from raftkafka.client.types import NotReachableError, TopicPartition
from raftkafka.model.api import Request
from raftkafka.model.api.cluster import (
    DescribeCluster,
    DescribeClusterResponse,
    DescribeQuorum,
    DescribeQuorumResponse,
    Metadata,
    MetadataResponse,
    TopicMetadata,
)
from raftkafka.model.api.elections import ElectionType
from raftkafka.model.api.history import DescribePartitionHistory, DescribePartitionHistoryResponse
from raftkafka.model.api.quorum import NO_DIRECTORY
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import NodeId, Offset, PartitionIndex, TimestampMs

if TYPE_CHECKING:
    from raftkafka.client.configs import ConfigResource
    from raftkafka.model.api.configs import (
        AlterableConfig,
        DescribedConfig,
    )
    from raftkafka.model.api.elections import ElectedPartition
    from raftkafka.model.api.log_dirs import DescribedLogDir
    from raftkafka.model.api.offsets import ListOffsetsPartitionResponse
    from raftkafka.model.api.partitions import CreatePartitionsResponse, NewPartitions
    from raftkafka.model.api.quotas import (
        DescribedQuota,
        QuotaAlteration,
        QuotaFilter,
    )
    from raftkafka.model.api.reassignments import (
        OngoingReassignment,
    )
    from raftkafka.model.api.topics import (
        CreatedTopic,
        CreateTopicsResponse,
        DeletedTopic,
        DeleteTopicsResponse,
        NewTopic,
    )

_Response = TypeVar("_Response")
_RETRY_S: Final = 0.05


class Admin(GroupAdministration):
    """Use `async with Admin(...)`, or `start` and `stop`. Every call takes at most `default_api_timeout_ms`."""

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] = "localhost:9092",
        *,
        client_id: str = "raftkafka-admin",
        default_api_timeout_ms: int = 60_000,
        connect_timeout_ms: int = 10_000,
        connect: Connect | None = None,
        random: Random | None = None,
    ) -> None:
        async def open_connection(host: str, port: int) -> Channel:
            return await Connection.open(host, port, client_id=client_id, connect_timeout_s=connect_timeout_ms / 1000)

        self._bootstrap = parse_bootstrap(bootstrap_servers)
        self._connect: Connect = connect or open_connection
        self._random = random or Random()
        self._timeout_s = default_api_timeout_ms / 1000
        self._running = False

    async def start(self) -> None:
        if not self._running:
            self._router = Router(bootstrap=self._bootstrap, connect=self._connect, random=self._random)
            self._running = True
            await self._router.start()

    async def stop(self) -> None:
        if self._running:
            self._running = False
            await self._router.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Changing

    async def create_topics(self, topics: Iterable[NewTopic], *, validate_only: bool = False) -> list[CreatedTopic]:
        """Create topics; one outcome for each, in the order asked.

        Raises:
            ApiError: of the first topic that was refused; the others may have been created.
        """
        from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse

        request = CreateTopics(topics=tuple(topics), timeout_ms=self._timeout_ms, validate_only=validate_only)
        response = await self._change(request, CreateTopicsResponse, _first_error)
        for topic in response.topics:
            if topic.error_code is not ErrorCode.NONE:
                raise ApiError(topic.error_code, topic.error_message or f"topic {topic.name!r}")
        return list(response.topics)

    async def create_topic(
        self,
        name: str,
        *,
        num_partitions: int = -1,
        replication_factor: int = -1,
        configs: Mapping[str, str | None] | None = None,
    ) -> CreatedTopic:
        """Create one topic; -1 takes the broker's default. Raises ApiError (TOPIC_ALREADY_EXISTS, ...)."""
        from raftkafka.model.api.topics import NewTopic

        topic = NewTopic(
            name=name,
            num_partitions=num_partitions,
            replication_factor=replication_factor,
            configs=tuple((configs or {}).items()),
        )
        return (await self.create_topics([topic]))[0]

    async def delete_topics(self, names: Iterable[str]) -> list[DeletedTopic]:
        """Delete topics by name.

        Raises:
            ApiError: of the first topic that was refused; the others may have been deleted.
        """
        from raftkafka.model.api.topics import DeleteTopics, DeleteTopicsResponse, TopicToDelete

        request = DeleteTopics(topics=tuple(TopicToDelete(name=name) for name in names), timeout_ms=self._timeout_ms)
        response = await self._change(request, DeleteTopicsResponse, _first_error)
        for topic in response.topics:
            if topic.error_code is not ErrorCode.NONE:
                raise ApiError(topic.error_code, topic.error_message or f"topic {topic.name!r}")
        return list(response.topics)

    async def create_partitions(self, topics: Iterable[NewPartitions], *, validate_only: bool = False) -> None:
        """Give topics more partitions (KIP-195). Records stay where they are: keys hash to other partitions from then on.

        Raises:
            ApiError: INVALID_PARTITIONS (no growth), INVALID_REPLICA_ASSIGNMENT, UNKNOWN_TOPIC_OR_PARTITION, ... of the first
                topic that was refused; the others may have grown.
        """
        from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse

        request = CreatePartitions(topics=tuple(topics), timeout_ms=self._timeout_ms, validate_only=validate_only)
        response = await self._change(request, CreatePartitionsResponse, _first_error)
        for topic in response.topics:
            if topic.error_code is not ErrorCode.NONE:
                raise ApiError(topic.error_code, topic.error_message or f"topic {topic.name!r}")

    async def alter_partition_reassignments(
        self,
        targets: Mapping[TopicPartition, Sequence[int] | None],
        *,
        allow_replication_factor_change: bool = True,
    ) -> None:
        """Begin to move partitions to these replicas (node ids, the preferred leader first), in place of any move that is under
        way (KIP-455); None cancels one. Returns when it is decided; `list_partition_reassignments` tells when it is done.

        Raises:
            ApiError: INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS, UNKNOWN_TOPIC_OR_PARTITION, ... of the first
                partition that was refused; the others are on their way.
        """
        from raftkafka.client import assignments
        from raftkafka.model.api.reassignments import AlterPartitionReassignmentsResponse

        request = assignments.alter_request(
            targets,
            timeout_ms=self._timeout_ms,
            allow_replication_factor_change=allow_replication_factor_change,
        )
        assignments.check_altered(
            await self._change(request, AlterPartitionReassignmentsResponse, lambda answer: answer.error_code)
        )

    async def elect_leaders(
        self,
        election_type: ElectionType = ElectionType.PREFERRED,
        partitions: Iterable[TopicPartition] | None = None,
    ) -> dict[TopicPartition, ElectedPartition]:
        """Elect leaders (KIP-183, KIP-460); None asks for all partitions, and leaves those without need out of the outcome.

        PREFERRED lets the first replica lead again where it is in sync. UNCLEAN lets whoever is there lead a partition that has no
        leader, whatever records it lacks. An outcome's `error_code` may be ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE,
        ELIGIBLE_LEADERS_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION. Raises ApiError where nothing was decided.
        """
        from raftkafka.client import assignments
        from raftkafka.model.api.elections import ElectLeadersResponse

        request = assignments.elect_request(election_type, partitions, timeout_ms=self._timeout_ms)
        return assignments.elected(await self._change(request, ElectLeadersResponse, lambda answer: answer.error_code))

    async def alter_configs(
        self, changes: Mapping[ConfigResource, Sequence[AlterableConfig]], *, validate_only: bool = False
    ) -> None:
        """Set, delete, append to or subtract from configs of topics and brokers (KIP-339); those not named stay as they are.

        Raises:
            ApiError: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION of the first resource that was refused; of
                that one nothing was changed, the others may have been.
        """
        from raftkafka.client import configs
        from raftkafka.model.api.configs import IncrementalAlterConfigsResponse

        request = configs.alter_request(changes, validate_only=validate_only, timeout_ms=self._timeout_ms)
        configs.check_altered(
            await self._change(request, IncrementalAlterConfigsResponse, configs.first_error),
        )

    async def alter_client_quotas(self, entries: Iterable[QuotaAlteration], *, validate_only: bool = False) -> None:
        """Set and take away quotas of users and client ids (KIP-546): `producer_byte_rate` and `consumer_byte_rate`, in bytes per
        second and broker. `request_percentage` is kept, and not enforced.

        Raises ApiError: INVALID_REQUEST of the first entity that was refused; those of the others may have been altered.
        """
        from raftkafka.client import quotas
        from raftkafka.model.api.quotas import AlterClientQuotas, AlterClientQuotasResponse

        request = AlterClientQuotas(entries=tuple(entries), validate_only=validate_only, timeout_ms=self._timeout_ms)
        quotas.check_altered(await self._change(request, AlterClientQuotasResponse, quotas.first_error))

    async def delete_records(self, targets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete what lies below the given offsets (-1: the high watermark); the lowest log start among the live replicas.

        Raises:
            ApiError: OFFSET_OUT_OF_RANGE, POLICY_VIOLATION, or REQUEST_TIMED_OUT: some of it may be deleted then.
        """
        from raftkafka.client.offsets import delete_records

        offsets = {tp: Offset(offset) for tp, offset in targets.items()}
        answers = await delete_records(self._router, offsets, timeout_s=self._timeout_s)
        return {tp: int(answer.low_watermark) for tp, answer in answers.items()}

    # Reading

    async def list_topics(self, *, include_internal: bool = False) -> list[str]:
        """Names, sorted."""
        response = await self._read(Metadata(topics=None), MetadataResponse)
        return sorted(topic.name for topic in response.topics if include_internal or not topic.is_internal)

    async def describe_topics(self, names: Iterable[str]) -> list[TopicMetadata]:
        """Partitions with leaders, replicas and ISR. Raises ApiError for the first topic that cannot be had."""
        response = await self._read(Metadata(topics=tuple(names)), MetadataResponse)
        for topic in response.topics:
            if topic.error_code is not ErrorCode.NONE:
                raise ApiError(topic.error_code, f"topic {topic.name!r}")
        return list(response.topics)

    async def describe_configs(
        self, resources: Iterable[ConfigResource], *, include_synonyms: bool = False
    ) -> dict[ConfigResource, tuple[DescribedConfig, ...]]:
        """Every config of these topics and brokers, with its source; with all that stands behind it where asked for.

        Raises ApiError: UNKNOWN_TOPIC_OR_PARTITION, BROKER_NOT_AVAILABLE (only a broker itself knows its file), ...
        """
        from raftkafka.client import configs
        from raftkafka.model.api.configs import DescribeConfigsResponse

        wanted = list(dict.fromkeys(resources))
        found: dict[ConfigResource, tuple[DescribedConfig, ...]] = {}
        anybody = [each for each in wanted if each.node_id is None]
        if anybody:
            request = configs.describe_request(anybody, include_synonyms=include_synonyms)
            found |= configs.described(await self._read(request, DescribeConfigsResponse))
        try:
            async with asyncio.timeout(self._timeout_s):
                for each in wanted:
                    if each.node_id is not None:
                        found |= await configs.describe_broker(
                            self._router, each, include_synonyms=include_synonyms, timeout_s=self._timeout_s
                        )
        except TimeoutError as error:
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, "no answer in time") from error
        return {each: found[each] for each in wanted}

    async def describe_log_dirs(
        self, brokers: Iterable[int] | None = None, *, topics: Iterable[str] | None = None
    ) -> dict[NodeId, tuple[DescribedLogDir, ...]]:
        """What lies in the log directories of these brokers, or of all that are there, and what room they have (KIP-113).

        Brokers that do not answer are left out. Sizes in bytes.
        """
        from raftkafka.client import log_dirs

        wanted = None if brokers is None else [NodeId(each) for each in brokers]
        return await log_dirs.describe(self._router, wanted, topics, timeout_s=self._timeout_s)

    async def known_topics(self, names: Iterable[str]) -> list[TopicMetadata]:
        """Those of these topics that exist."""
        response = await self._read(Metadata(topics=tuple(sorted(names))), MetadataResponse)
        return [topic for topic in response.topics if topic.error_code is ErrorCode.NONE]

    async def describe_partition_history(self, partition: TopicPartition) -> DescribePartitionHistoryResponse:
        """Who led the partition when, and why that changed, as far as it is remembered. Raises ApiError."""
        request = DescribePartitionHistory(topic=partition.topic, partition=PartitionIndex(partition.partition))
        response = await self._read(request, DescribePartitionHistoryResponse)
        _raise(response.error_code, response.error_message)
        return response

    async def describe_client_quotas(
        self, components: Iterable[QuotaFilter] = (), *, strict: bool = False
    ) -> list[DescribedQuota]:
        """The quotas whose user and client id meet all components; with `strict`, of entities that have no other part."""
        from raftkafka.client import quotas
        from raftkafka.model.api.quotas import DescribeClientQuotas, DescribeClientQuotasResponse

        request = DescribeClientQuotas(components=tuple(components), strict=strict)
        return quotas.described(await self._read(request, DescribeClientQuotasResponse))

    async def describe_cluster(self) -> DescribeClusterResponse:
        """All registered brokers, fenced ones included."""
        response = await self._read(DescribeCluster(), DescribeClusterResponse)
        if response.error_code is not ErrorCode.NONE:
            raise ApiError(response.error_code)
        return response

    async def describe_quorum(self) -> DescribeQuorumResponse:
        """The Raft voters as their leader sees them; waits while there is none."""
        return await self._read(DescribeQuorum(), DescribeQuorumResponse, lambda answer: answer.error_code)

    async def add_voter(
        self, node_id: int, host: str, port: int, *, directory_id: bytes = NO_DIRECTORY, cluster_id: str | None = None
    ) -> None:
        """Let a node that follows as an observer vote in Raft, once it has caught up (KIP-853). Raises ApiError."""
        from raftkafka.model.api.quorum import AddRaftVoter, AddRaftVoterResponse

        request = AddRaftVoter(
            voter_id=NodeId(node_id),
            host=host,
            port=port,
            voter_directory_id=directory_id,
            cluster_id=cluster_id,
            timeout_ms=self._timeout_ms,
        )
        response = await self._change(request, AddRaftVoterResponse, lambda answer: answer.error_code)
        _raise(response.error_code, response.error_message)

    async def remove_voter(
        self, node_id: int, *, directory_id: bytes = NO_DIRECTORY, cluster_id: str | None = None
    ) -> None:
        """Make a voter an observer; the controller itself steps down for it (KIP-853). Raises ApiError."""
        from raftkafka.model.api.quorum import RemoveRaftVoter, RemoveRaftVoterResponse

        request = RemoveRaftVoter(
            voter_id=NodeId(node_id),
            voter_directory_id=directory_id,
            cluster_id=cluster_id,
            timeout_ms=self._timeout_ms,
        )
        response = await self._change(request, RemoveRaftVoterResponse, lambda answer: answer.error_code)
        _raise(response.error_code, response.error_message)

    async def update_features(self, updates: Mapping[str, int], *, validate_only: bool = False) -> int:
        """Raise the feature level (`{"metadata.version": level}`), once every broker knows it; the level in force.

        Raises ApiError: FEATURE_UPDATE_FAILED, INVALID_REQUEST.
        """
        from raftkafka.model.api.features import FeatureUpdate, UpdateFeatures, UpdateFeaturesResponse

        request = UpdateFeatures(
            updates=tuple([FeatureUpdate(feature=name, max_version_level=level) for name, level in updates.items()]),
            validate_only=validate_only,
            timeout_ms=self._timeout_ms,
        )
        response = await self._change(request, UpdateFeaturesResponse, lambda answer: answer.error_code)
        _raise(response.error_code, response.error_message)
        return response.level

    async def list_partition_reassignments(
        self, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, OngoingReassignment]:
        """The reassignments that are under way, among these partitions or among all: what is not there is done, or never was."""
        from raftkafka.client import assignments
        from raftkafka.model.api.reassignments import ListPartitionReassignmentsResponse

        request = assignments.list_request(partitions, timeout_ms=self._timeout_ms)
        return assignments.listed(
            await self._read(request, ListPartitionReassignmentsResponse, lambda answer: answer.error_code)
        )

    async def list_offsets(
        self, targets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, ListOffsetsPartitionResponse]:
        """Offsets by timestamp in milliseconds, or LATEST (-1), EARLIEST (-2), MAX_TIMESTAMP (-3). Raises ApiError."""
        from raftkafka.client.offsets import list_offsets

        stamps = {tp: TimestampMs(timestamp) for tp, timestamp in targets.items()}
        return await list_offsets(self._router, stamps, timeout_s=self._timeout_s)

    # Asking

    @property
    def _timeout_ms(self) -> int:
        return int(self._timeout_s * 1000)

    async def _read(
        self,
        request: Request,
        kind: type[_Response],
        error_of: Callable[[_Response], ErrorCode] = lambda _: ErrorCode.NONE,
    ) -> _Response:
        """Ask until somebody answers; asking twice does no harm."""
        return await self._until_answered(request, kind, error_of, may_repeat=True)

    async def _change(
        self, request: Request, kind: type[_Response], error_of: Callable[[_Response], ErrorCode]
    ) -> _Response:
        """Ask once; a node that says it did nothing (NOT_CONTROLLER) is asked again."""
        return await self._until_answered(request, kind, error_of, may_repeat=False)

    async def _until_answered(
        self, request: Request, kind: type[_Response], error_of: Callable[[_Response], ErrorCode], *, may_repeat: bool
    ) -> _Response:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        unreachable: NotReachableError | None = None
        while True:
            left_s = deadline - loop.time()
            if unreachable is not None and left_s <= 0:
                raise ApiError(ErrorCode.BROKER_NOT_AVAILABLE, str(unreachable)) from unreachable
            try:
                response = await self._router.ask_any(request, timeout_s=max(left_s, 0.001))
            except ApiError:
                raise
            except NotReachableError as error:
                # The last try may have been cut short: then an earlier one knows better why.
                if unreachable is None or error.__cause__ is None:
                    unreachable = error
            except RaftKafkaError as error:
                if not may_repeat or left_s <= 0:
                    raise ApiError(
                        ErrorCode.REQUEST_TIMED_OUT, f"no answer, the outcome is unknown: {error}"
                    ) from error
            else:
                assert isinstance(response, kind)
                unreachable = None
                code = error_of(response)
                if code not in (ErrorCode.NOT_CONTROLLER, ErrorCode.BROKER_NOT_AVAILABLE) or left_s <= 0:
                    if may_repeat and code is not ErrorCode.NONE:
                        raise ApiError(code)
                    return response
            await asyncio.sleep(_RETRY_S)


def _raise(code: ErrorCode, message: str | None) -> None:
    if code is not ErrorCode.NONE:
        raise ApiError(code, message or "")


def _first_error(response: CreateTopicsResponse | DeleteTopicsResponse | CreatePartitionsResponse) -> ErrorCode:
    """A node that cannot reach the controller says so of every topic alike."""
    return response.topics[0].error_code if response.topics else ErrorCode.NONE
