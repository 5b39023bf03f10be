"""`rk restore`: a cluster anew from copies of its nodes' directories. Floor 5.

The nodes must not run. How copies are made, and in which order they are brought back: ops/runbooks/backup-and-restore.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from raftkafka.cli.options import json_option
from raftkafka.cli.output import as_json, line, say

if TYPE_CHECKING:
    from raftkafka.node.restoring import Copy


@click.group(no_args_is_help=True)
def restore() -> None:
    """Make a cluster anew from copies of its nodes' directories."""


@restore.command()
@click.argument("files", metavar="SERVER.PROPERTIES...", nargs=-1, required=True)
@json_option
def show(files: Sequence[str], json: bool) -> int:
    """Show what the directories of stopped nodes hold, the newest metadata first.

    The cluster is to begin with the node in the first line. Nothing is written.
    """
    from raftkafka.node.main import load_settings
    from raftkafka.node.restoring import look

    found = sorted(
        (look(load_settings(path)) for path in files), key=lambda each: (each.term, each.index), reverse=True
    )
    if json:
        as_json({"copies": [_document(each) for each in found]})
    else:
        for each in found:
            line(_sentence(each))
    return 0


@restore.command()
@click.argument("properties", metavar="SERVER.PROPERTIES")
@json_option
def begin(properties: str, json: bool) -> int:
    """Begin a new cluster with this node's metadata and logs.

    The node must not run. It becomes the only voter, and the cluster gets a new id: nodes of the old one are refused by it.
    """
    import asyncio
    import secrets
    from uuid import uuid4

    from raftkafka.node.main import load_settings
    from raftkafka.node.restoring import begin as begin_cluster

    settings = load_settings(properties)
    begun = asyncio.run(begin_cluster(settings, cluster_id=uuid4().hex, directory_id=secrets.token_bytes(16)))
    if json:
        as_json(_document(begun))
    else:
        line(f"node {begun.node_id} begins cluster {begun.cluster_id}, with {begun.topics} topics")
        say(f"on the other nodes: rk restore join SERVER.PROPERTIES --cluster-id {begun.cluster_id}")
    return 0


@restore.command()
@click.argument("properties", metavar="SERVER.PROPERTIES")
@click.option("--cluster-id", metavar="ID", required=True, help="As rk restore begin has said it.")
def join(properties: str, cluster_id: str) -> int:
    """Let this node's logs take part in the new cluster.

    The node must not run, and controller.quorum.voters in its settings must not name it: its Raft files are removed, so it
    follows without a vote until rk cluster add-voter.
    """
    from raftkafka.model.errors import ConfigurationError
    from raftkafka.node.main import load_settings
    from raftkafka.node.restoring import join as join_cluster

    if len(cluster_id) != 32 or set(cluster_id) - set("0123456789abcdef"):
        raise ConfigurationError("--cluster-id: is 32 hexadecimal digits, as rk restore begin has said it")
    settings = load_settings(properties)
    join_cluster(settings, cluster_id=cluster_id)
    line(f"node {settings.node_id} will join cluster {cluster_id}")
    return 0


def _sentence(copy: Copy) -> str:
    voters = ", ".join(map(str, copy.voters)) or "those of the settings"
    stopped = "stopped in order" if copy.in_order else "not stopped in order"
    return (
        f"node {copy.node_id} of cluster {copy.cluster_id}: entry {copy.index} of term {copy.term}, {copy.topics} topics, "
        f"voters {voters}, {stopped}"
    )


def _document(copy: Copy) -> dict[str, object]:
    return {
        "node_id": copy.node_id,
        "cluster_id": copy.cluster_id,
        "term": copy.term,
        "index": copy.index,
        "topics": copy.topics,
        "voters": list(copy.voters),
        "in_order": copy.in_order,
    }
