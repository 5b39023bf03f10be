"""Configs, for administrators: questions to whoever can answer them, and what the answers mean. Floor 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from raftkafka.client.routing import Router
from raftkafka.model.api.configs import (
    AlterableConfig,
    AlterConfigsResource,
    DescribeConfigs,
    DescribeConfigsResource,
    DescribeConfigsResponse,
    DescribedConfig,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
    ResourceType,
)
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import NodeId


class ConfigResource(NamedTuple):
    """A topic, a broker by its id, or with the empty name the default of all brokers."""

    type: ResourceType
    name: str

    def __str__(self) -> str:
        if self.type is ResourceType.BROKER:
            return f"broker {self.name}" if self.name else "the default of all brokers"
        return f"topic {self.name}"

    @property
    def node_id(self) -> NodeId | None:
        """The one broker that knows these configs; None where any does."""
        return NodeId(int(self.name)) if self.type is ResourceType.BROKER and self.name.isdecimal() else None


Described = dict[ConfigResource, tuple[DescribedConfig, ...]]


def alter_request(
    changes: Mapping[ConfigResource, Sequence[AlterableConfig]], *, validate_only: bool, timeout_ms: int
) -> IncrementalAlterConfigs:
    return IncrementalAlterConfigs(
        resources=tuple(
            AlterConfigsResource(resource_type=resource.type, resource_name=resource.name, configs=tuple(configs))
            for resource, configs in changes.items()
        ),
        validate_only=validate_only,
        timeout_ms=timeout_ms,
    )


def first_error(response: IncrementalAlterConfigsResponse) -> ErrorCode:
    """A node that cannot reach the controller says so of every resource alike."""
    return response.resources[0].error_code if response.resources else ErrorCode.NONE


def check_altered(response: IncrementalAlterConfigsResponse) -> None:
    """Raises ApiError for the first resource that was refused."""
    for each in response.resources:
        if each.error_code is not ErrorCode.NONE:
            raise ApiError(each.error_code, each.error_message or each.resource_name)


def describe_request(resources: Iterable[ConfigResource], *, include_synonyms: bool) -> DescribeConfigs:
    return DescribeConfigs(
        resources=tuple(
            DescribeConfigsResource(resource_type=resource.type, resource_name=resource.name) for resource in resources
        ),
        include_synonyms=include_synonyms,
    )


def described(response: DescribeConfigsResponse) -> Described:
    """Raises ApiError for the first resource that cannot be described."""
    found: Described = {}
    for each in response.resources:
        if each.error_code is not ErrorCode.NONE:
            raise ApiError(each.error_code, each.error_message or each.resource_name)
        found[ConfigResource(ResourceType(each.resource_type), each.resource_name)] = each.configs
    return found


async def describe_broker(
    router: Router, resource: ConfigResource, *, include_synonyms: bool, timeout_s: float
) -> Described:
    """The configs of one broker, asked of itself. Raises ApiError where it cannot be asked."""
    node_id = resource.node_id
    assert node_id is not None
    # Only after an answer is it known who belongs to the cluster.
    await router.updated()
    if router.address(node_id) is None:
        raise ApiError(
            ErrorCode.BROKER_NOT_AVAILABLE, f"broker {node_id} is not there, and nobody else knows its configs"
        )
    try:
        channel = await router.channel(node_id)
        answer = await channel.request(
            describe_request([resource], include_synonyms=include_synonyms), timeout_s=timeout_s
        )
    except ApiError:
        raise
    except RaftKafkaError as error:
        raise ApiError(ErrorCode.BROKER_NOT_AVAILABLE, f"broker {node_id} does not answer: {error}") from error
    assert isinstance(answer, DescribeConfigsResponse)
    return described(answer)
