"""Topics: create, configure, grow, delete. Floor 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Final

from raftkafka.client.configs import ConfigResource
from raftkafka.console.api.errors import bad_request
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Range, Says, Size
from raftkafka.model.api.configs import AlterableConfig, AlterOperation, ResourceType
from raftkafka.model.api.partitions import NewPartitions
from raftkafka.model.api.topics import NewTopic

PARTITIONS_MAX: Final = 10_000
NAME = Annotated[str, Size(1, 249)]
Configs = Annotated[Mapping[str, str], Size(0, 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopic:
    name: NAME
    partitions: Annotated[int | None, Range(1, PARTITIONS_MAX), Says("null takes the broker's default")] = None
    replication_factor: Annotated[int | None, Range(1, 1_000), Says("null takes the broker's default")] = None
    configs: Configs = field(default_factory=dict)
    validate_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTopic:
    name: str
    partitions: int
    replication_factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterConfigs:
    """All of it, or nothing."""

    set: Configs = field(default_factory=dict)
    delete: Annotated[tuple[str, ...], Size(0, 100), Says("names that go back to the default")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    total: Annotated[int, Range(1, PARTITIONS_MAX), Says("partitions afterwards")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    confirm: Annotated[str, Size(0, 4_000), Says("the name of what goes, once more")]


async def create_topic(call: Call[NoQuery, CreateTopic]) -> CreatedTopic:
    context, wanted = call.context, call.body
    admin = await context.admin()
    topic = NewTopic(
        name=wanted.name,
        num_partitions=-1 if wanted.partitions is None else wanted.partitions,
        replication_factor=-1 if wanted.replication_factor is None else wanted.replication_factor,
        configs=tuple(wanted.configs.items()),
    )
    (created,) = await admin.create_topics([topic], validate_only=wanted.validate_only)
    if not wanted.validate_only:
        await context.see(lambda image: wanted.name in image.topic_ids)
    return CreatedTopic(
        name=created.name, partitions=created.num_partitions, replication_factor=created.replication_factor
    )


async def alter_topic_configs(call: Call[NoQuery, AlterConfigs]) -> None:
    context, wanted = call.context, call.body
    topic = context.topic(call.path["topic"])
    both = wanted.set.keys() & set(wanted.delete)
    if both or len(set(wanted.delete)) < len(wanted.delete):
        raise bad_request("each config once, please: set it or delete it")
    changes = [AlterableConfig(name=name, value=value) for name, value in wanted.set.items()]
    changes += [AlterableConfig(name=name, operation=AlterOperation.DELETE) for name in wanted.delete]
    if not changes:
        raise bad_request("nothing is set and nothing is deleted")
    admin = await context.admin()
    await admin.alter_configs({ConfigResource(ResourceType.TOPIC, topic.name): changes})

    def shown(configs: Mapping[str, str] | None) -> bool:
        return configs is None or all(configs.get(each.name) == each.value for each in changes)

    await context.see(
        lambda image: shown(found.configs if (found := image.topics.get(topic.topic_id)) is not None else None)
    )


async def grow_topic(call: Call[NoQuery, Grow]) -> None:
    context, total = call.context, call.body.total
    topic = context.topic(call.path["topic"])
    admin = await context.admin()
    await admin.create_partitions([NewPartitions(name=topic.name, count=total)])
    await context.see(
        lambda image: (found := image.topics.get(topic.topic_id)) is None or len(found.partitions) >= total
    )


async def delete_topic(call: Call[NoQuery, Confirm]) -> None:
    context = call.context
    topic = context.topic(call.path["topic"])
    check_confirmed(topic.name, call.body)
    admin = await context.admin()
    await admin.delete_topics([topic.name])
    await context.see(lambda image: topic.topic_id not in image.topics)


def check_confirmed(name: str, body: Confirm) -> None:
    """Raises HttpError: another name was typed."""
    if body.confirm != name:
        raise bad_request(f"confirm has to be {name!r}: nothing was deleted")


ROUTES: Final = (
    Route(
        method="POST",
        path="/topics",
        summary="Create a topic",
        handler=create_topic,
        body=CreateTopic,
        answer=CreatedTopic,
        status=HTTPStatus.CREATED,
    ),
    Route(
        method="PATCH",
        path="/topics/{topic}/configs",
        summary="Set configs of a topic, or go back to their defaults",
        handler=alter_topic_configs,
        body=AlterConfigs,
        status=HTTPStatus.NO_CONTENT,
    ),
    Route(
        method="POST",
        path="/topics/{topic}/partitions",
        summary="Give a topic more partitions; keys hash to other partitions from then on",
        handler=grow_topic,
        body=Grow,
        status=HTTPStatus.NO_CONTENT,
    ),
    Route(
        method="DELETE",
        path="/topics/{topic}",
        summary="Delete a topic with all its records",
        handler=delete_topic,
        body=Confirm,
        status=HTTPStatus.NO_CONTENT,
    ),
)
