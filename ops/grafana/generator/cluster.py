"""The first look: is the cluster whole, what goes through it, and which broker stands out."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.model import (
    CLUSTER,
    Dashboard,
    Panel,
    Row,
    bad_below,
    bad_from,
    stat,
    warn_and_bad_from,
)

_HEALTH: Final = Row(
    title="Is it whole?",
    panels=(
        stat(
            "Nodes down",
            'count(up{job="raftkafka", cluster="$cluster"} == 0) or vector(0)',
            "Nodes whose metrics cannot be read. More than 0: start them again; with a majority of the voters gone, writes stop.",
            "node-down",
            steps=bad_from(1),
        ),
        stat(
            "Nodes that know the controller",
            'sum(raftkafka_raft_has_quorum{cluster="$cluster"})',
            "Nodes that lead Raft with a majority behind them, or hear who does. 0: there is no controller, bring voters back. "
            "Some but not all: those that do not are cut off from it.",
            "no-quorum",
            steps=bad_below(1),
        ),
        stat(
            "Partitions without a leader",
            'max(raftkafka_cluster_partitions_without_leader{cluster="$cluster"})',
            "Nobody can write to or read from them. More than 0: `rk why partition` says which broker has to come back.",
            "partitions-without-leader",
            steps=bad_from(1),
        ),
        stat(
            "Partitions that refuse acks=all",
            'sum(raftkafka_under_min_isr_partitions{cluster="$cluster"})',
            "Fewer replicas are in sync than min.insync.replicas. More than 0: find the broker that is missing in their ISR.",
            "under-min-isr",
            steps=bad_from(1),
        ),
        stat(
            "Under-replicated partitions",
            'sum(raftkafka_under_replicated_partitions{cluster="$cluster"})',
            "They miss replicas, and still take writes. It falls by itself after a broker has started; where it does not, "
            "look which broker is in all of them.",
            "under-replicated",
            steps=warn_and_bad_from(1, 1000),
        ),
        stat(
            "Log directories offline",
            'sum(raftkafka_offline_log_directories{cluster="$cluster"})',
            "A write or a sync failed there. More than 0: mend the disk, then start the node again; the sync is never retried.",
            "log-directory-offline",
            steps=bad_from(1),
        ),
        stat(
            "Alerts firing",
            'count(ALERTS{alertname=~"RaftKafka.+", alertstate="firing", cluster="$cluster"}) or vector(0)',
            "More than 0: each alert has a page of the same name.",
            "README",
            steps=bad_from(1),
        ),
        stat(
            "Brokers fenced",
            'sum(raftkafka_cluster_brokers{cluster="$cluster", state="fenced"})',
            "Registered brokers that the controller has not heard of in time, or that have just started. They lead nothing. "
            "Stays above 0: such a broker is down, or does not reach the controller.",
            "node-down",
            steps=bad_from(1),
        ),
        stat(
            "Brokers active",
            'sum(raftkafka_cluster_brokers{cluster="$cluster", state="active"})',
            "Fewer than you run: look at the fenced ones.",
            "node-down",
        ),
        stat(
            "Topics",
            'max(raftkafka_cluster_topics{cluster="$cluster"})',
            "Grows without end: some client creates topics (auto.create.topics.enable).",
            "README",
        ),
        stat(
            "Partitions",
            'max(raftkafka_cluster_partitions{cluster="$cluster"})',
            "Of all topics. Thousands for each broker cost memory and make fail-over slower.",
            "README",
        ),
        stat(
            "Records in per second",
            'sum(raftkafka:topic_records_in:rate5m{cluster="$cluster"})',
            "Appended by leaders, all topics. 0 where there should be some: producers are refused or gone, look at the errors.",
            "under-min-isr",
            unit="cps",
        ),
    ),
)
_TRAFFIC: Final = Row(
    title="What goes through it",
    panels=(
        Panel(
            title="Records in, by topic",
            unit="cps",
            queries={
                "{{topic}}": 'topk(10, raftkafka:topic_records_in:rate5m{cluster="$cluster"})',
            },
            description="The ten busiest topics. A topic that jumps: find its producer, bound it by a quota if it starves others.",
            runbook="event-loop-stalls",
            stacked=True,
        ),
        Panel(
            title="Bytes in, by topic",
            unit="binBps",
            queries={
                "{{topic}}": 'topk(10, raftkafka:topic_bytes_in:rate5m{cluster="$cluster"})',
            },
            description="As the producers sent them, compressed or not; every replica writes the same once more. "
            "Compare with what the disks have left.",
            runbook="disk-filling",
            stacked=True,
        ),
        Panel(
            title="Bytes out, by topic",
            unit="binBps",
            queries={
                "{{topic}}": 'topk(10, raftkafka:topic_bytes_out:rate5m{cluster="$cluster"})',
            },
            description="To consumers and to followers. Much more than consumers times bytes in: somebody reads from the beginning, "
            "or a broker catches up.",
            runbook="consumer-lag-growing",
            stacked=True,
        ),
        Panel(
            title="Slowest hundredth of requests",
            unit="s",
            queries={
                "{{api}}": 'raftkafka:request_duration_seconds:p99_5m{cluster="$cluster", api=~"PRODUCE|'
                'METADATA|LIST_OFFSETS|OFFSET_COMMIT|FIND_COORDINATOR"}',
            },
            description="One in a hundred takes longer. Fetch is left out, since it waits for records on purpose. "
            "Produce rises alone: replicas or disks are slow. All rise: event loops are busy.",
            runbook="slow-sync",
        ),
        Panel(
            title="Answers with an error",
            unit="reqps",
            queries={
                "{{api}} {{error}}": 'sum by (api, error) (rate(raftkafka_request_errors_total{cluster="$cluster"}[$__rate_interval])) > 0',
            },
            description="NOT_LEADER_OR_FOLLOWER for some seconds after a fail-over is how clients find the new leader. "
            "NOT_ENOUGH_REPLICAS: acks=all is refused. Authorisation and unknown topics: a client is set up wrongly.",
            runbook="under-min-isr",
            no_data="no errors",
        ),
        Panel(
            title="Connections, by broker",
            unit="short",
            queries={
                "{{instance}}": 'sum by (instance) (raftkafka_connections{cluster="$cluster", listener!="ZOOKEEPER"})',
            },
            description="Rises without end: a client does not close what it opens. All on one broker: clients know only that one.",
            runbook="event-loop-stalls",
        ),
    ),
)
_BROKERS: Final = Row(
    title="Which broker stands out?",
    panels=(
        Panel(
            title="Leaders",
            unit="short",
            queries={
                "{{instance}}": 'raftkafka_leader_partitions{cluster="$cluster"}',
            },
            description="Partitions that each broker leads. Uneven: wait for auto.leader.rebalance.enable, or `rk cluster elect-leaders`. "
            "Still uneven: replicas are placed unevenly, `rk reassign generate`.",
            runbook="under-replicated",
        ),
        Panel(
            title="Under-replicated, by leader",
            unit="short",
            queries={
                "{{instance}}": 'raftkafka_under_replicated_partitions{cluster="$cluster"}',
            },
            description="On every leader but one: the one is missing as a follower. On a single leader: that one does not hear its followers.",
            runbook="under-replicated",
            steps=bad_from(1),
        ),
        Panel(
            title="Replicas that left and joined the ISR",
            unit="cps",
            queries={
                "left": 'sum(rate(raftkafka_isr_shrinks_total{cluster="$cluster"}[$__rate_interval]))',
                "joined": 'sum(rate(raftkafka_isr_expands_total{cluster="$cluster"}[$__rate_interval]))',
            },
            description="A wave after a restart is as it should be. All the time: a follower is too slow, look at its disk and its loop.",
            runbook="under-replicated",
        ),
        Panel(
            title="Elections of partition leaders",
            unit="cps",
            queries={
                "elections": 'sum(rate(raftkafka_leader_elections_total{cluster="$cluster"}[$__rate_interval]))',
            },
            description="Brokers that stop, start or are fenced cause them. Without any of that: heartbeats do not arrive in time.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Partitions off their preferred leader",
            unit="short",
            queries={
                "partitions": 'max(raftkafka_cluster_partitions_off_preferred_leader{cluster="$cluster"})',
            },
            description="Rises when a broker stops, falls within minutes after it is back. Stays up: `rk cluster elect-leaders`, "
            "and `rk why partition` for one that does not go.",
            runbook="under-replicated",
        ),
        Panel(
            title="Disk left",
            unit="percentunit",
            queries={
                "{{instance}}": 'min by (instance) (raftkafka_log_directory_free_bytes{cluster="$cluster"} '
                '/ raftkafka_log_directory_capacity_bytes{cluster="$cluster"})',
            },
            description="The fullest file system with a log directory, by broker. Below 5 %: shorten retention, delete records or "
            "move partitions before it is full; a full disk takes no records.",
            runbook="disk-filling",
            maximum=1,
        ),
        Panel(
            title="Slowest hundredth of syncs",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka:log_sync_seconds:p99_5m{cluster="$cluster"}',
            },
            description="acks=all waits for them. One broker above the others: its disk. Above a quarter of a second an alert fires.",
            runbook="slow-sync",
            steps=bad_from(0.25),
        ),
        Panel(
            title="Slowest hundredth of steps on the event loop",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka:event_loop_delay_seconds:p99_5m{cluster="$cluster"}',
            },
            description="Everything of a node waits as long. High: it has more to do than a core can, or the machine gives it none.",
            runbook="event-loop-stalls",
            steps=bad_from(0.25),
        ),
        Panel(
            title="Clocks, less Prometheus' own",
            unit="s",
            queries={
                "{{instance}}": 'raftkafka:clock_offset:seconds{cluster="$cluster"}',
            },
            description="Up to the time of a scrape is noise. One node apart from the others: its NTP.",
            runbook="clock-skew",
            signed=True,
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid="raftkafka-cluster",
    title="raftkafka / Cluster",
    description="Is the cluster whole, what goes through it, which broker stands out.",
    variables=(CLUSTER,),
    rows=(_HEALTH, _TRAFFIC, _BROKERS),
)
