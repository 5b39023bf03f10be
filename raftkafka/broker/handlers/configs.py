"""DescribeConfigs from this broker's own view; IncrementalAlterConfigs is asked of any broker and decided by the controller.

Floor 3. The answer to a change waits until this broker's own image shows it, so that who asked and looks again sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from raftkafka.broker.config_view import ConfigView
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.handlers.forwarding import forward
from raftkafka.broker.handlers.metadata import APPLY_WAIT_S
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.decide.configs import broker_of
from raftkafka.metadata.image import ALL_BROKERS, Image
from raftkafka.model.api.configs import (
    AlterConfigsResource,
    AlteredResource,
    AlterOperation,
    DescribeConfigs,
    DescribeConfigsResource,
    DescribeConfigsResponse,
    DescribedConfig,
    DescribedResource,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
    ResourceType,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.settings.values import Settings


class ConfigsHandler:
    """`settings` are those of this broker's file."""

    def __init__(self, *, settings: Settings, store: MetadataStore, channel: ControllerChannel) -> None:
        self._settings = settings
        self._store = store
        self._channel = channel

    async def alter(self, context: RequestContext, request: IncrementalAlterConfigs) -> IncrementalAlterConfigsResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            IncrementalAlterConfigsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: IncrementalAlterConfigsResponse(
                resources=tuple(
                    AlteredResource(
                        resource_type=each.resource_type,
                        resource_name=each.resource_name,
                        error_code=error.code,
                        error_message=error.message,
                    )
                    for each in request.resources
                )
            ),
        )
        if not request.validate_only:
            refused = {
                (each.resource_type, each.resource_name)
                for each in answer.resources
                if each.error_code is not ErrorCode.NONE
            }
            made = [each for each in request.resources if (each.resource_type, each.resource_name) not in refused]
            await self._store.wait_for(lambda image: all(_shows(image, each) for each in made), timeout_s=APPLY_WAIT_S)
        return answer

    def describe(self, context: RequestContext, request: DescribeConfigs) -> DescribeConfigsResponse:
        return DescribeConfigsResponse(
            resources=tuple(
                [self._described(each, synonyms=request.include_synonyms) for each in request.resources],
            )
        )

    def _described(self, resource: DescribeConfigsResource, *, synonyms: bool) -> DescribedResource:
        try:
            configs = self._configs(resource)
        except ApiError as refusal:
            return DescribedResource(
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
                error_code=refusal.code,
                error_message=refusal.message,
            )
        wanted = resource.configuration_keys
        return DescribedResource(
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
            configs=tuple(
                [
                    each if synonyms else replace(each, synonyms=())
                    for each in configs
                    if wanted is None or each.name in wanted
                ]
            ),
        )

    def _configs(self, resource: DescribeConfigsResource) -> Iterable[DescribedConfig]:
        image, name = self._store.image, resource.resource_name
        view = ConfigView(settings=self._settings, image=image)
        if resource.resource_type == ResourceType.TOPIC:
            topic = image.topic_by_name(name)
            if topic is None:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")
            return view.of_topic(topic)
        if resource.resource_type != ResourceType.BROKER:
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"Resources of type {resource.resource_type} have no configs here: topics and brokers do.",
            )
        node_id = broker_of(name)
        if node_id == ALL_BROKERS:
            return view.of_all_brokers()
        if node_id != self._settings.node_id:
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected broker id, expected {self._settings.node_id} or empty string, but received {name}",
            )
        return view.of_broker()


def _shows(image: Image, resource: AlterConfigsResource) -> bool:
    """The image has what was set and lacks what was deleted; of lists that were added to nothing is known here."""
    if resource.resource_type == ResourceType.TOPIC:
        topic = image.topic_by_name(resource.resource_name)
        if topic is None:
            return True
        configs = topic.configs
    else:
        configs = image.broker_configs.get(broker_of(resource.resource_name), {})
    return all(
        configs.get(each.name) == each.value
        for each in resource.configs
        if each.operation in (AlterOperation.SET, AlterOperation.DELETE)
    )
