"""`rk cluster`: who is there, and who leads. Floor 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from raftkafka.cli.options import DEFAULT_BOOTSTRAP, DEFAULT_TIMEOUT_MS, AsJson, BootstrapServer, TimeoutMs
from raftkafka.cli.output import as_json, line, table

if TYPE_CHECKING:
    from raftkafka.model.api.cluster import DescribeClusterResponse, DescribeQuorumResponse

app = typer.Typer(no_args_is_help=True, help="See the cluster as a whole.")


@app.callback()
def cluster() -> None:
    """Keeps `status` a subcommand of its own: typer would fold a lone command into its parent."""


@app.command("status")
def status(
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> None:
    """Show brokers, the controller, and the Raft voters with their term."""
    from raftkafka.cli.session import run
    from raftkafka.client.admin import Admin

    async def ask() -> tuple[DescribeClusterResponse, DescribeQuorumResponse]:
        admin = Admin(
            bootstrap_server,
            client_id="rk-admin",
            default_api_timeout_ms=timeout_ms,
            connect_timeout_ms=min(timeout_ms, 5_000),
        )
        async with admin:
            return await admin.describe_cluster(), await admin.describe_quorum()

    cluster, quorum = run(ask())
    if json:
        as_json(_document(cluster, quorum))
        return
    line(
        f"cluster {cluster.cluster_id}, controller {quorum.leader_id}, Raft term {quorum.term}, "
        f"commit index {quorum.commit_index}"
    )
    line("")
    table(
        ("BROKER", "ADDRESS", "RACK", "STATE"),
        [
            (
                broker.node_id,
                f"{broker.host}:{broker.port}",
                broker.rack or "-",
                "fenced" if broker.fenced else "active",
            )
            for broker in cluster.brokers
        ],
    )
    line("")
    table(
        ("VOTER", "LOG END", "BEHIND", "STATE"),
        [
            (
                voter.node_id,
                voter.log_end_index if voter.log_end_index >= 0 else "unknown",
                max(0, quorum.commit_index - voter.log_end_index) if voter.log_end_index >= 0 else "unknown",
                "leader" if voter.node_id == quorum.leader_id else "connected" if voter.connected else "not connected",
            )
            for voter in quorum.voters
        ],
    )


def _document(cluster: DescribeClusterResponse, quorum: DescribeQuorumResponse) -> dict[str, object]:
    return {
        "cluster_id": cluster.cluster_id,
        "controller": quorum.leader_id,
        "term": quorum.term,
        "commit_index": quorum.commit_index,
        "brokers": [
            {
                "node_id": broker.node_id,
                "host": broker.host,
                "port": broker.port,
                "rack": broker.rack,
                "fenced": broker.fenced,
            }
            for broker in cluster.brokers
        ],
        "voters": [
            {"node_id": voter.node_id, "log_end_index": voter.log_end_index, "connected": voter.connected}
            for voter in quorum.voters
        ],
    }
