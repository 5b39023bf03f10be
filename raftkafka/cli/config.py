"""`rk config`: what topics and brokers are configured with, and the quotas of users and client ids. Floor 5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, table

if TYPE_CHECKING:
    from raftkafka.cli.config_target import Target
    from raftkafka.model.api.configs import DescribedConfig
    from raftkafka.model.api.quotas import DescribedQuota

Command = TypeVar("Command", bound=Callable[..., Any])

SOURCES: Final = {
    1: "topic",
    2: "broker",
    3: "all brokers",
    4: "file",
    5: "default",
}


def _target_options(command: Command) -> Command:
    for option in (
        click.option("--default-client-id", is_flag=True, help="Every client id without a quota of its own."),
        click.option("--client-id", metavar="NAME", help="The quota of a client id; with --user, of that user's."),
        click.option("--default-user", is_flag=True, help="Every user without a quota of its own."),
        click.option("--user", metavar="NAME", help="The quota of a user."),
        click.option("--all-brokers", is_flag=True, help="The default of all brokers."),
        click.option("--broker", metavar="ID", type=click.IntRange(min=0), help="A broker."),
        click.option("--topic", metavar="TOPIC", help="A topic."),
    ):
        command = option(command)
    return command


@click.group(no_args_is_help=True)
def config() -> None:
    """Describe, set and delete configs of topics and brokers, and quotas of clients."""


@config.command()
@_target_options
@click.option("--all", "everything", is_flag=True, help="Of a topic or broker: also what is not set anywhere.")
@bootstrap_option
@timeout_option
@json_option
def describe(everything: bool, bootstrap_server: str, timeout_ms: int, json: bool, **target: Any) -> None:
    """Show what is set, and where.

    Of a topic or broker: configs with a value other than the default; with --all every config. Without a target: all quotas of
    clients.
    """
    from raftkafka.cli.config_target import target_of
    from raftkafka.cli.session import run

    wanted = target_of(**target, needed=False)
    if wanted is None or wanted.is_client:
        _show_quotas(run(_quotas(wanted, bootstrap_server, timeout_ms)), json=json)
        return

    async def ask() -> Sequence[DescribedConfig]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            resource = wanted.resource
            return (await admin.describe_configs([resource], include_synonyms=True))[resource]

    found = [each for each in run(ask()) if everything or each.source != _DEFAULT]
    if json:
        as_json({**wanted.named, "configs": [_document(each) for each in found]})
        return
    rows = [
        (
            each.name,
            "(hidden)" if each.is_sensitive else "" if each.value is None else each.value,
            SOURCES.get(each.source, "unknown"),
            "read-only" if each.read_only else "",
        )
        for each in found
    ]
    if rows:
        table(("CONFIG", "VALUE", "FROM", ""), rows)
    else:
        line(f"Nothing is set for {wanted}; --all shows the defaults.")


@config.command("set")
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
@_target_options
@click.option("--validate-only", is_flag=True, help="Only say whether it could be set.")
@bootstrap_option
@timeout_option
@json_option
def set_(
    pairs: Sequence[str], validate_only: bool, bootstrap_server: str, timeout_ms: int, json: bool, **target: Any
) -> None:
    """Set configs or quotas.

    KEY+=VALUE adds to a list, KEY-=VALUE takes away from it. Quotas: producer_byte_rate and consumer_byte_rate, in bytes per second
    and broker; request_percentage is kept, and not enforced.
    """
    from raftkafka.cli.config_target import target_of

    wanted = target_of(**target, needed=True)
    assert wanted is not None
    changed = wanted.settings(pairs)
    _alter(wanted, pairs, changed, validate_only, bootstrap_server, timeout_ms, json, word="Set")


@config.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@_target_options
@click.option("--validate-only", is_flag=True, help="Only say whether it could be deleted.")
@bootstrap_option
@timeout_option
@json_option
def delete(
    keys: Sequence[str], validate_only: bool, bootstrap_server: str, timeout_ms: int, json: bool, **target: Any
) -> None:
    """Take configs or quotas away: what stands behind them counts again."""
    from raftkafka.cli.config_target import target_of

    wanted = target_of(**target, needed=True)
    assert wanted is not None
    _alter(wanted, keys, wanted.deletions(keys), validate_only, bootstrap_server, timeout_ms, json, word="Deleted")


_DEFAULT: Final = 5


def _alter(
    wanted: Target,
    names: Sequence[str],
    changes: Sequence[Any],
    validate_only: bool,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
    *,
    word: str,
) -> None:
    from raftkafka.cli.session import run

    async def change() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            if wanted.is_client:
                await admin.alter_client_quotas([wanted.alteration(changes)], validate_only=validate_only)
            else:
                await admin.alter_configs({wanted.resource: list(changes)}, validate_only=validate_only)

    run(change())
    if json:
        as_json({**wanted.named, "altered": list(names), "validated_only": validate_only})
        return
    for name in names:
        line(f"{'Could be: ' if validate_only else ''}{word} {name} for {wanted}.")


async def _quotas(wanted: Target | None, bootstrap_server: str, timeout_ms: int) -> Sequence[DescribedQuota]:
    async with admin_of(bootstrap_server, timeout_ms) as admin:
        if wanted is None:
            return await admin.describe_client_quotas()
        return await admin.describe_client_quotas(wanted.filters, strict=True)


def _show_quotas(found: Sequence[DescribedQuota], *, json: bool) -> None:
    if json:
        as_json(
            {
                "quotas": [
                    {
                        "entity": [{"type": part.entity_type, "name": part.entity_name} for part in each.entity],
                        "values": {value.key: value.value for value in each.values},
                    }
                    for each in found
                ]
            }
        )
        return
    rows = [
        (
            ", ".join(f"{part.entity_type} {part.entity_name or '(default)'}" for part in each.entity),
            value.key,
            f"{value.value:.15g}",
            "not enforced" if value.key == "request_percentage" else "",
        )
        for each in found
        for value in each.values
    ]
    if rows:
        table(("CLIENT", "QUOTA", "VALUE", ""), rows)
    else:
        line("There are no such quotas.")


def _document(config: DescribedConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "value": config.value,
        "source": SOURCES.get(config.source, "unknown"),
        "read_only": config.read_only,
        "sensitive": config.is_sensitive,
        "synonyms": [
            {"name": each.name, "value": each.value, "source": SOURCES.get(each.source, "unknown")}
            for each in config.synonyms
        ],
    }
