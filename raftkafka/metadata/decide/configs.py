"""Decisions about configs: IncrementalAlterConfigs (KIP-339) of topics, of brokers, and of all brokers.

Floor 1, pure. Each resource of a request is decided by itself, all of its changes or none. Codes and messages are Kafka's where
tools may read them. APPEND and SUBTRACT become the list that comes of them, so that the command says what will be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs
from raftkafka.metadata.configs import altered, why_not_for_broker, why_not_for_topic
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import ALL_BROKERS, Image
from raftkafka.metadata.topic_configs import TOPIC_CONFIGS
from raftkafka.model.api.configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlteredResource,
    AlterOperation,
    ConfigType,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
    ResourceType,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId
from raftkafka.model.settings import dynamic
from raftkafka.model.topics import why_illegal

CONFIGS_PER_REQUEST_MAX: Final = 10_000
"""Of all resources in one request."""

_TOPIC_LISTS: Final = frozenset(name for name, config in TOPIC_CONFIGS.items() if config.kind is ConfigType.LIST)
_TOPIC_DEFAULTS: Final = {name: config.default for name, config in TOPIC_CONFIGS.items()}
_BROKER_DEFAULTS: Final = {"log.cleanup.policy": "delete"}

_Command = AlterTopicConfigs | AlterBrokerConfigs


def decide_alter_configs(image: Image, request: IncrementalAlterConfigs) -> Decision:
    """Change configs, or with `validate_only` say whether that is possible."""
    commands: list[_Command] = []
    answers: list[AlteredResource] = []
    count = sum(len(each.configs) for each in request.resources)
    named = Counter((each.resource_type, each.resource_name) for each in request.resources)
    for resource in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            if count > CONFIGS_PER_REQUEST_MAX:
                raise ApiError(
                    ErrorCode.INVALID_REQUEST, f"One request may change at most {CONFIGS_PER_REQUEST_MAX} configs."
                )
            if named[resource.resource_type, resource.resource_name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
            command = _command(image, resource)
            if command.configs:
                commands.append(command)
        except ApiError as refusal:
            code, message = refusal.code, refusal.message
        answers.append(
            AlteredResource(
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
                error_code=code,
                error_message=message,
            )
        )
    if request.validate_only:
        return Decision(respond=lambda _: IncrementalAlterConfigsResponse(resources=tuple(answers)))
    return Decision(
        commands=tuple(commands),
        respond=lambda after: IncrementalAlterConfigsResponse(
            resources=tuple([_still_there(after, answer) for answer in answers])
        ),
    )


def _command(image: Image, resource: AlterConfigsResource) -> _Command:
    """The command that makes these changes; raises ApiError with the reason why not."""
    if resource.resource_type == ResourceType.TOPIC:
        return _for_topic(image, resource)
    if resource.resource_type == ResourceType.BROKER:
        return _for_broker(image, resource)
    raise ApiError(
        ErrorCode.INVALID_REQUEST,
        f"Resources of type {resource.resource_type} have no configs here: topics and brokers do.",
    )


def _for_topic(image: Image, resource: AlterConfigsResource) -> AlterTopicConfigs:
    name = resource.resource_name
    illegal = why_illegal(name)
    if illegal is not None:
        raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)
    topic = image.topic_by_name(name)
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")
    for config in resource.configs:
        if config.name not in TOPIC_CONFIGS:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Unknown topic config name: {config.name}")
    changes = _changes(resource.configs, topic.configs, lists=_TOPIC_LISTS, defaults=_TOPIC_DEFAULTS)
    _check(why_not_for_topic(altered(topic.configs, changes)))
    return AlterTopicConfigs(topic_id=topic.topic_id, configs=changes)


def _for_broker(image: Image, resource: AlterConfigsResource) -> AlterBrokerConfigs:
    node_id = broker_of(resource.resource_name)
    if node_id != ALL_BROKERS and node_id not in image.brokers:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"No broker with id {node_id} is registered.")
    names = [config.name for config in resource.configs]
    fixed = dynamic.not_dynamic(names)
    if fixed is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, fixed)
    before = image.broker_configs.get(node_id, {})
    # A list of one broker begins with what all brokers have.
    defaults = {**_BROKER_DEFAULTS, **image.broker_configs.get(ALL_BROKERS, {})}
    changes = _changes(resource.configs, before, lists=dynamic.LISTS, defaults=defaults)
    _check(why_not_for_broker(altered(before, changes), node_id))
    return AlterBrokerConfigs(node_id=node_id, configs=changes)


def broker_of(resource_name: str) -> NodeId:
    """The broker that a resource's name stands for, ALL_BROKERS for the empty name; raises ApiError where it is none."""
    if not resource_name:
        return ALL_BROKERS
    if not (resource_name.isascii() and resource_name.isdigit() and len(resource_name) <= 10):
        raise ApiError(
            ErrorCode.INVALID_REQUEST, f"Broker resource name must be a broker id or empty, not '{resource_name}'."
        )
    return NodeId(int(resource_name))


def _check(wrong: str | None) -> None:
    if wrong is not None:
        raise ApiError(ErrorCode.INVALID_CONFIG, wrong)


def _changes(
    configs: Iterable[AlterableConfig],
    before: Mapping[str, str],
    *,
    lists: frozenset[str],
    defaults: Mapping[str, str],
) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for config in configs:
        name, value = config.name, config.value
        if name in changes:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate config keys: {name}")
        if config.operation == AlterOperation.DELETE:
            changes[name] = None
            continue
        if config.operation not in (AlterOperation.SET, AlterOperation.APPEND, AlterOperation.SUBTRACT):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"{name}: there is no operation {config.operation}")
        if value is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
        if config.operation == AlterOperation.SET:
            changes[name] = value
            continue
        operation = AlterOperation(config.operation)
        if name not in lists:
            raise ApiError(
                ErrorCode.INVALID_CONFIG, f"Can't {operation.name} to key {name} because its type is not LIST."
            )
        changes[name] = _listed(before.get(name, defaults.get(name, "")), value, operation)
    return changes


def _listed(before: str, value: str, operation: AlterOperation) -> str:
    items = [each.strip() for each in before.split(",") if each.strip()]
    named = [each.strip() for each in value.split(",") if each.strip()]
    if operation is AlterOperation.APPEND:
        return ",".join(dict.fromkeys([*items, *named]))
    return ",".join([each for each in items if each not in named])


def _still_there(image: Image, answer: AlteredResource) -> AlteredResource:
    """The answer, unless the topic was deleted or the broker forgotten first."""
    if answer.error_code is not ErrorCode.NONE:
        return answer
    if answer.resource_type == ResourceType.TOPIC and answer.resource_name not in image.topic_ids:
        return AlteredResource(
            resource_type=answer.resource_type,
            resource_name=answer.resource_name,
            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            error_message=f"The topic '{answer.resource_name}' does not exist.",
        )
    return answer
