"""One broker: where it is, its directories, its configs. Floor 4."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from raftkafka.client.configs import ConfigResource
from raftkafka.console.api.cluster import GLANCE_S, brokers_of, quorum_of
from raftkafka.console.api.config_values import ConfigValue, config_values
from raftkafka.console.api.errors import HttpError
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Says
from raftkafka.console.context import or_none
from raftkafka.console.sizes import log_dirs
from raftkafka.model.api.configs import ResourceType
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDir:
    path: str
    size_bytes: int
    free_bytes: Annotated[int | None, Says("of its file system")]
    error: Annotated[str | None, Says("why nothing is served from it")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDescription:
    id: int
    host: str
    port: int
    rack: str | None
    state: str
    log_dirs: Annotated[tuple[LogDir, ...] | None, Says("null where the broker does not answer")]
    configs: Annotated[tuple[ConfigValue, ...] | None, Says("null where the broker does not answer")]


async def get_broker(call: Call[NoQuery, None]) -> BrokerDescription:
    context, node_id = call.context, NodeId(call.path["broker"])
    if node_id not in context.image.brokers:
        code = ErrorCode.BROKER_ID_NOT_REGISTERED.name
        raise HttpError(HTTPStatus.NOT_FOUND, code, f"there is no broker {node_id}")
    admin = await context.admin()
    resource = ConfigResource(ResourceType.BROKER, str(node_id))
    dirs, configs, quorum = await asyncio.gather(
        log_dirs(context, [node_id]),
        or_none(asyncio.wait_for(admin.describe_configs([resource], include_synonyms=True), GLANCE_S)),
        quorum_of(context),
    )
    (state,) = [each for each in brokers_of(context.image, quorum, {}) if each.id == node_id]
    described = None
    if node_id in dirs:
        described = tuple(
            LogDir(
                path=each.log_dir,
                size_bytes=sum(partition.size_bytes for partition in each.partitions),
                free_bytes=None if each.usable_bytes < 0 else each.usable_bytes,
                error=None if each.error_code is ErrorCode.NONE else each.error_code.name,
            )
            for each in dirs[node_id]
        )
    return BrokerDescription(
        id=node_id,
        host=state.host,
        port=state.port,
        rack=state.rack,
        state=state.state,
        log_dirs=described,
        configs=None if configs is None else config_values(configs[resource]),
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/brokers/{broker}",
        summary="One broker with its log directories and configs",
        handler=get_broker,
        answer=BrokerDescription,
    ),
)
