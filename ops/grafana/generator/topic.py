"""One topic: what goes in and out, what is kept, and whether its partitions are whole and even."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.model import CLUSTER, Dashboard, Panel, Row, Variable, bad_from, stat

_STATE: Final = Row(
    title="What it is",
    panels=(
        stat(
            "Partitions",
            'count(count by (partition) (raftkafka_partition_is_leader{cluster="$cluster", topic="$topic"}))',
            "As many consumers of a group can share the work. Fewer than the topic has: brokers that keep the others do not answer.",
            "node-down",
        ),
        stat(
            "Replicas of a partition",
            'max(raftkafka_partition_replicas{cluster="$cluster", topic="$topic"})',
            "1: every restart of its broker stops the topic, and a lost disk loses it. `rk reassign` adds replicas.",
            "partitions-without-leader",
        ),
        stat(
            "Partitions without a leader that answers",
            'count(sum by (partition) (raftkafka_partition_is_leader{cluster="$cluster", topic="$topic"}) == 0) or vector(0)',
            "Nobody can write to or read from them: `rk why partition` says which broker has to come back.",
            "partitions-without-leader",
            steps=bad_from(1),
        ),
        stat(
            "Under-replicated",
            'sum(raftkafka_partition_under_replicated{cluster="$cluster", topic="$topic"})',
            "Partitions that miss replicas. Does not fall: look which broker is missing in their ISR.",
            "under-replicated",
            steps=bad_from(1),
        ),
        stat(
            "Refuse acks=all",
            'sum(raftkafka_partition_under_min_isr{cluster="$cluster", topic="$topic"})',
            "Partitions with fewer replicas in sync than min.insync.replicas.",
            "under-min-isr",
            steps=bad_from(1),
        ),
        stat(
            "Records kept",
            'sum(max by (partition) (raftkafka_partition_high_watermark{cluster="$cluster", topic="$topic"}) '
            '- max by (partition) (raftkafka_partition_log_start_offset{cluster="$cluster", topic="$topic"}))',
            "Offsets between the start and the high watermark; a compacted topic has fewer records. "
            "More than you want: shorten its retention.",
            "disk-filling",
        ),
    ),
)
_TRAFFIC: Final = Row(
    title="What goes in and out",
    panels=(
        Panel(
            title="Records in, by partition",
            unit="cps",
            queries={
                "{{partition}}": "sum by (partition) (rate(raftkafka_partition_records_in_total"
                '{cluster="$cluster", topic="$topic"}[$__rate_interval]))',
            },
            description="One partition far above the others: a key that very many records have, or a producer that names the partition. "
            "All fall to 0: look at the producers, and whether acks=all is refused.",
            runbook="under-min-isr",
            stacked=True,
        ),
        Panel(
            title="Bytes in, by partition",
            unit="binBps",
            queries={
                "{{partition}}": "sum by (partition) (rate(raftkafka_partition_bytes_in_total"
                '{cluster="$cluster", topic="$topic"}[$__rate_interval]))',
            },
            description="As sent. Rises while the records do not: they have become larger, or are no longer compressed.",
            runbook="disk-filling",
            stacked=True,
        ),
        Panel(
            title="Bytes out, by partition",
            unit="binBps",
            queries={
                "{{partition}}": "sum by (partition) (rate(raftkafka_partition_bytes_out_total"
                '{cluster="$cluster", topic="$topic"}[$__rate_interval]))',
            },
            description="To consumers and followers. Nothing but replication: nobody reads the topic.",
            runbook="consumer-lag-growing",
            stacked=True,
        ),
        Panel(
            title="Led by",
            unit="short",
            queries={
                "{{instance}}": 'sum by (instance) (raftkafka_partition_is_leader{cluster="$cluster", topic="$topic"})',
            },
            description="Leaders by broker. Uneven: `rk cluster elect-leaders --topic`, then `rk reassign generate`.",
            runbook="under-replicated",
        ),
        Panel(
            title="Waiting for followers",
            unit="short",
            queries={
                "{{partition}}": 'max by (partition) (raftkafka_partition_log_end_offset{cluster="$cluster", topic="$topic"} '
                '- raftkafka_partition_high_watermark{cluster="$cluster", topic="$topic"})',
            },
            description="Records written and not yet on enough replicas. Rises and stays: a follower in the ISR is slow.",
            runbook="under-replicated",
        ),
        Panel(
            title="In sync, the least of its partitions",
            unit="short",
            queries={
                "in sync": 'min(raftkafka_partition_isr_size{cluster="$cluster", topic="$topic"})',
                "assigned": 'max(raftkafka_partition_replicas{cluster="$cluster", topic="$topic"})',
            },
            description="Below what is assigned: a broker is missing or slow.",
            runbook="under-replicated",
        ),
    ),
)
_KEPT: Final = Row(
    title="What is kept",
    panels=(
        Panel(
            title="Size on disk, by partition",
            unit="bytes",
            queries={
                "{{partition}}": 'max by (partition) (raftkafka_partition_size_bytes{cluster="$cluster", topic="$topic"})',
            },
            description="Of one replica. Rises beyond retention.bytes: only closed segments are deleted, and compaction has its own pace.",
            runbook="disk-filling",
            stacked=True,
        ),
        Panel(
            title="Size on disk, by broker",
            unit="bytes",
            queries={
                "{{instance}}": 'sum by (instance) (raftkafka_partition_size_bytes{cluster="$cluster", topic="$topic"})',
            },
            description="All replicas. Uneven: `rk reassign generate --topic` spreads them.",
            runbook="disk-filling",
            stacked=True,
        ),
        Panel(
            title="Records deleted by retention",
            unit="cps",
            queries={
                "{{partition}}": "max by (partition) (deriv(raftkafka_partition_log_start_offset"
                '{cluster="$cluster", topic="$topic"}[10m]))',
            },
            description="How fast the start of the log moves. As fast as records come in: the topic has its full size. "
            "0 while it grows: retention does not reach it yet.",
            runbook="disk-filling",
        ),
        Panel(
            title="Lag of its groups",
            unit="short",
            queries={
                "{{group}}": 'raftkafka:group_topic_lag:records{cluster="$cluster", topic="$topic"}',
            },
            description="Records between what a group has committed and the end. Rises all the time: the group is too slow or stands still.",
            runbook="consumer-lag-growing",
            width=24,
            no_data="no group has committed here",
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid="raftkafka-topic",
    title="raftkafka / Topic",
    description="One topic: what goes in and out, what is kept, and whether its partitions are whole and even.",
    variables=(CLUSTER, Variable(name="topic", label="topic", metric="raftkafka_partition_is_leader")),
    rows=(_STATE, _TRAFFIC, _KEPT),
)
