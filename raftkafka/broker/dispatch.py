"""The one table from request to handler. Adding an API touches one row here and one module in `handlers/`.

Floor 3.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from raftkafka.broker.client_quotas import ClientQuotas, with_throttle
from raftkafka.broker.handlers.committed_offsets import CommittedOffsetsHandler
from raftkafka.broker.handlers.configs import ConfigsHandler
from raftkafka.broker.handlers.controller import ControllerHandler
from raftkafka.broker.handlers.delete_records import DeleteRecordsHandler
from raftkafka.broker.handlers.fetch import FetchHandler
from raftkafka.broker.handlers.groups import GroupsHandler
from raftkafka.broker.handlers.log_dirs import LogDirsHandler
from raftkafka.broker.handlers.membership import MembershipHandler
from raftkafka.broker.handlers.metadata import MetadataHandler
from raftkafka.broker.handlers.offsets import OffsetsHandler
from raftkafka.broker.handlers.partitions import PartitionsHandler
from raftkafka.broker.handlers.produce import ProduceHandler
from raftkafka.broker.handlers.producers import ProducersHandler
from raftkafka.broker.handlers.quorum import QuorumHandler
from raftkafka.broker.handlers.quotas import QuotasHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.model.api import Request, Response
from raftkafka.model.api.broker_lifecycle import AlterPartition, BrokerHeartbeat, BrokerRegistration
from raftkafka.model.api.cluster import DescribeCluster, DescribeQuorum, Metadata
from raftkafka.model.api.committed_offsets import OffsetCommit, OffsetDelete, OffsetFetch
from raftkafka.model.api.configs import DescribeConfigs, IncrementalAlterConfigs
from raftkafka.model.api.delete_records import DeleteRecords
from raftkafka.model.api.elections import ElectLeaders
from raftkafka.model.api.features import UpdateFeatures
from raftkafka.model.api.fetch import Fetch, FetchResponse
from raftkafka.model.api.groups import DeleteGroups, DescribeGroups, FindCoordinator, ListGroups
from raftkafka.model.api.history import DescribePartitionHistory
from raftkafka.model.api.log_dirs import DescribeLogDirs
from raftkafka.model.api.membership import Heartbeat, JoinGroup, LeaveGroup, SyncGroup
from raftkafka.model.api.offsets import ListOffsets, OffsetForLeaderEpoch
from raftkafka.model.api.partitions import CreatePartitions
from raftkafka.model.api.produce import Produce
from raftkafka.model.api.producers import AllocateProducerIds, InitProducerId
from raftkafka.model.api.quorum import AddRaftVoter, RemoveRaftVoter
from raftkafka.model.api.quotas import AlterClientQuotas, DescribeClientQuotas
from raftkafka.model.api.reassignments import AlterPartitionReassignments, ListPartitionReassignments
from raftkafka.model.api.topics import CreateTopics, DeleteTopics
from raftkafka.model.api.znodes import AlterZkSession, ChangeZnodes, TouchZkSessions
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.ports.probe import Probe

_NONE: Final = ErrorCode.NONE
"""To look a member up in its enum costs ten times what a global does."""

Outcome = Response | Awaitable[Response] | None


class Dispatch:
    """Called by connections. An answer that is ready is returned as it is, so that it costs no task."""

    def __init__(
        self,
        *,
        produce: ProduceHandler,
        fetch: FetchHandler,
        offsets: OffsetsHandler,
        delete_records: DeleteRecordsHandler,
        metadata: MetadataHandler,
        topics: TopicsHandler,
        partitions: PartitionsHandler,
        controller: ControllerHandler,
        producers: ProducersHandler,
        quorum: QuorumHandler,
        configs: ConfigsHandler,
        log_dirs: LogDirsHandler,
        quotas: QuotasHandler,
        client_quotas: ClientQuotas,
        groups: GroupsHandler,
        membership: MembershipHandler,
        committed_offsets: CommittedOffsetsHandler,
        probe: Probe,
        now: Callable[[], float],
    ) -> None:
        self._probe = probe
        self._now = now
        self._quotas = client_quotas
        self._produce = produce
        self._fetch = fetch
        # Handlers are keyed by the class of their request, which their own signature repeats.
        handlers: dict[type[Any], Callable[[RequestContext, Any], Outcome]] = {
            Produce: produce,
            Fetch: fetch,
            ListOffsets: offsets.list_offsets,
            OffsetForLeaderEpoch: offsets.offset_for_leader_epoch,
            DeleteRecords: delete_records,
            Metadata: metadata.metadata,
            DescribePartitionHistory: metadata.describe_history,
            DescribeCluster: metadata.describe_cluster,
            DescribeQuorum: metadata.describe_quorum,
            CreateTopics: topics.create,
            DeleteTopics: topics.delete,
            CreatePartitions: partitions.create,
            ElectLeaders: partitions.elect_leaders,
            AlterPartitionReassignments: partitions.alter_reassignments,
            ListPartitionReassignments: partitions.list_reassignments,
            DescribeConfigs: configs.describe,
            IncrementalAlterConfigs: configs.alter,
            DescribeLogDirs: log_dirs.describe,
            DescribeClientQuotas: quotas.describe,
            AlterClientQuotas: quotas.alter,
            BrokerRegistration: controller.register,
            BrokerHeartbeat: controller.heartbeat,
            AlterPartition: controller.alter_partition,
            InitProducerId: producers.init_producer_id,
            AllocateProducerIds: controller.allocate_producer_ids,
            AlterZkSession: controller.alter_zk_session,
            ChangeZnodes: controller.change_znodes,
            TouchZkSessions: controller.touch_zk_sessions,
            FindCoordinator: groups.find_coordinator,
            ListGroups: groups.list_groups,
            DescribeGroups: groups.describe,
            DeleteGroups: groups.delete,
            JoinGroup: membership.join,
            SyncGroup: membership.sync,
            Heartbeat: membership.heartbeat,
            LeaveGroup: membership.leave,
            OffsetCommit: committed_offsets.commit,
            OffsetFetch: committed_offsets.fetch,
            OffsetDelete: committed_offsets.delete,
            UpdateFeatures: quorum.update_features,
            AddRaftVoter: quorum.add_voter,
            RemoveRaftVoter: quorum.remove_voter,
        }
        self._handlers = {kind: (kind.api_key.name, handler) for kind, handler in handlers.items()}

    def __call__(self, context: RequestContext, request: Request) -> Outcome:
        """The answer, or what becomes of it; None where the client wants none (acks=0).

        Raises:
            ApiError: UNSUPPORTED_VERSION, no handler serves this.
        """
        row = self._handlers.get(type(request))
        if row is None:
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"{type(request).__name__} is not served here")
        api, handler = row
        began = self._now()
        if self._quotas.active and not context.is_node:
            outcome = self._metered(context, request, handler)
        else:
            outcome = handler(context, request)
        if not hasattr(outcome, "__await__"):
            self._probe.request(api, error_of(outcome), self._now() - began)
        elif isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(partial(self._answered_later, api, began))
        elif inspect.iscoroutine(outcome):
            return self._awaited(api, began, outcome)
        return outcome

    def _metered(
        self, context: RequestContext, request: Request, handler: Callable[[RequestContext, Any], Outcome]
    ) -> Outcome:
        """As the handler, within what the client's quotas allow. Nodes among themselves are never throttled."""
        quotas = self._quotas
        if isinstance(request, Produce):
            throttle_ms = quotas.on_produce(context, request)
            produced = self._produce(context, request)
            return produced if produced is None or not throttle_ms else with_throttle(produced, throttle_ms)
        if isinstance(request, Fetch):
            fetched = self._fetch(context, quotas.bounded(context, request))
            if isinstance(fetched, FetchResponse):
                return quotas.on_fetched(context, fetched)
            return self._metered_fetch(context, fetched)
        return handler(context, request)

    async def _metered_fetch(self, context: RequestContext, fetched: Awaitable[FetchResponse]) -> FetchResponse:
        return self._quotas.on_fetched(context, await fetched)

    async def _awaited(self, api: str, began: float, outcome: Awaitable[Response]) -> Response:
        response = await outcome
        self._probe.request(api, error_of(response), self._now() - began)
        return response

    def _answered_later(self, api: str, began: float, done: asyncio.Future[Response]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._probe.request(api, error_of(done.result()), self._now() - began)


def _parts(response: object) -> tuple[Any, ...]:
    for name in ("partitions", "topics", "coordinators", "groups", "members", "results", "resources"):
        parts: tuple[Any, ...] | None = getattr(response, name, None)
        if parts is not None:
            return parts
    return ()


def error_of(response: object) -> ErrorCode:
    """The error that an answer stands for in the metrics: its own, else the first among its parts."""
    none = _NONE
    own = getattr(response, "error_code", none)
    if own is not none:
        return ErrorCode(own)
    for part in _parts(response):
        try:
            code = part.error_code
        except AttributeError:
            code = error_of(part)  # a topic that only groups its partitions
        if code is not none:
            return ErrorCode(code)
    return none
