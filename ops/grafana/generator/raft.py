"""Raft, which keeps the metadata: who leads, who follows how closely, and what a decision costs."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.model import CLUSTER, Dashboard, Panel, Row, bad_below, bad_from, stat

_LEADER: Final = Row(
    title="Is there a controller?",
    panels=(
        stat(
            "Controller",
            'max(raftkafka_raft_leader_id{cluster="$cluster"})',
            "broker.id of the node that leads Raft. -1: nobody knows one, bring voters back until they are a majority.",
            "no-quorum",
            unit="none",
            steps=bad_below(0),
        ),
        stat(
            "Nodes that know it",
            'sum(raftkafka_raft_has_quorum{cluster="$cluster"})',
            "Fewer than the nodes that run: the others are cut off. 0: there is no majority.",
            "no-quorum",
            steps=bad_below(1),
        ),
        stat(
            "Term",
            'max(raftkafka_raft_term{cluster="$cluster"})',
            "Rises by one with every candidate. By hundreds: somebody asks for votes and does not get them.",
            "election-storm",
            unit="none",
        ),
        stat(
            "Leaders in ten minutes",
            'max(increase(raftkafka_raft_leader_changes_total{cluster="$cluster"}[10m]))',
            "More than three: with every change decisions wait for a second. Look for a node that stalls, or a network that loses packets.",
            "election-storm",
            steps=bad_from(3),
        ),
        stat(
            "Voters",
            'max(raftkafka_raft_voters{cluster="$cluster"})',
            "3 survive the loss of one, 5 of two. An even number is for minutes, while voters are added or removed.",
            "grow-from-3-to-5-voters",
            unit="none",
        ),
        stat(
            "Observers",
            'max(raftkafka_raft_observers{cluster="$cluster"} and on (instance) raftkafka_raft_is_leader{cluster="$cluster"} == 1)',
            "Nodes without a vote that are connected to the controller. Fewer than you run: they are down, or do not reach it.",
            "node-down",
            unit="none",
        ),
        Panel(
            title="Who leads, as each node knows it",
            unit="none",
            queries={
                "{{instance}}": 'raftkafka_raft_leader_id{cluster="$cluster"}',
            },
            description="One line where all agree. A node apart: it is cut off or has just started. -1: it knows nobody.",
            runbook="no-quorum",
            signed=True,
        ),
        Panel(
            title="Who is the controller",
            unit="bool",
            queries={
                "{{instance}}": 'raftkafka_raft_is_leader{cluster="$cluster"}',
            },
            description="Never two for longer than a scrape. Changes often: an election storm.",
            runbook="election-storm",
            stacked=True,
        ),
        Panel(
            title="Silence of the leader",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka_raft_leader_silence_seconds{cluster="$cluster"}',
            },
            description="Since each node heard it last. A second and more: the others soon elect another. "
            "One node: its link. All: the leader stalls.",
            runbook="election-storm",
            steps=bad_from(1),
        ),
    ),
)
_LOG: Final = Row(
    title="Do they follow?",
    panels=(
        Panel(
            title="Entries committed a second",
            unit="cps",
            queries={
                "entries": 'max(deriv(raftkafka_raft_commit_index{cluster="$cluster"}[10m]))',
            },
            description="Decisions about topics, leaders, ISR, ZooKeeper nodes. A quiet cluster has few. Hundreds: replicas leave and "
            "join the ISR all the time, or a tool writes to the ZooKeeper port.",
            runbook="under-replicated",
        ),
        Panel(
            title="Entries a node has not applied",
            unit="short",
            queries={
                "{{instance}}": 'raftkafka_raft_commit_index{cluster="$cluster"} - raftkafka_raft_applied_index{cluster="$cluster"}',
            },
            description="Stays above 0: its event loop is too busy to follow the decisions.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Entries not committed yet",
            unit="short",
            queries={
                "{{instance}}": 'raftkafka_raft_last_index{cluster="$cluster"} - raftkafka_raft_commit_index{cluster="$cluster"}',
            },
            description="Stays above 0 on the leader: no majority answers, or their disks are slow.",
            runbook="no-quorum",
        ),
        Panel(
            title="Entries that peers have not acknowledged",
            unit="short",
            queries={
                "node {{peer}}": 'max by (peer) (raftkafka_raft_peer_entries_behind{cluster="$cluster"} '
                'and on (instance) raftkafka_raft_is_leader{cluster="$cluster"} == 1)',
            },
            description="As the leader sees it. Falls after a start. Rises: that node is down, or its disk cannot keep up. "
            "Before a voter is stopped on purpose, the others must be near 0.",
            runbook="node-down",
        ),
        Panel(
            title="Links between nodes",
            unit="short",
            queries={
                "to node {{peer}}": 'sum by (peer) (raftkafka_raft_peer_connected{cluster="$cluster"})',
            },
            description="How many nodes have a link to each. Fewer to one: it is down. Fewer to several: a network is cut.",
            runbook="node-down",
        ),
        Panel(
            title="Nodes that hear of a majority",
            unit="short",
            queries={
                "{{instance}}": 'sum by (instance) (raftkafka_raft_has_quorum{cluster="$cluster"})',
            },
            description="0 for one node: it is alone. 0 for all: there is no majority, and nothing can be decided.",
            runbook="no-quorum",
            stacked=True,
        ),
    ),
)
_COST: Final = Row(
    title="What does a decision cost?",
    panels=(
        Panel(
            title="From proposal to result",
            unit="s",
            queries={
                "slowest hundredth": 'raftkafka:raft_commit_seconds:p99_5m{cluster="$cluster"}',
                "median": "histogram_quantile(0.5, sum by (le) (rate(raftkafka_raft_commit_seconds_bucket"
                '{cluster="$cluster"}[$__rate_interval])))',
            },
            description="A fail-over waits this long once or twice. Some milliseconds plus one sync of a majority. More: the syncs beside it, "
            "or the loops.",
            runbook="slow-sync",
            no_data="nothing decided",
        ),
        Panel(
            title="Syncs of the journal: slowest hundredth",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka:raft_sync_seconds:p99_5m{cluster="$cluster"}',
            },
            description="One slow voter of three does no harm, two do. `metadata.log.dir` puts the journal on a disk of its own.",
            runbook="slow-sync",
            steps=bad_from(0.25),
            no_data="nothing synced",
        ),
        Panel(
            title="Event loop: slowest hundredth of steps",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka:event_loop_delay_seconds:p99_5m{cluster="$cluster"}',
            },
            description="Raft shares the loop with the data. A leader that stalls for a second loses its office.",
            runbook="event-loop-stalls",
            steps=bad_from(0.25),
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid="raftkafka-raft",
    title="raftkafka / Raft",
    description="Raft, which keeps the metadata: who leads, who follows how closely, and what a decision costs.",
    variables=(CLUSTER,),
    rows=(_LEADER, _LOG, _COST),
)
