"""One broker: what it serves, what it waits for, and what its machine has left."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.broker_machine import MACHINE, ZOOKEEPER
from ops.grafana.generator.model import (
    CLUSTER,
    Dashboard,
    Panel,
    Row,
    Variable,
    bad_below,
    bad_from,
    stat,
)

_STATE: Final = Row(
    title="What it is",
    panels=(
        stat(
            "Answers",
            'up{job="raftkafka", cluster="$cluster", instance="$node"}',
            "0: its metrics cannot be read. The process has ended, hangs, or is not reached.",
            "node-down",
            unit="bool",
            steps=bad_below(1),
        ),
        stat(
            "Started",
            'process_start_time_seconds{job="raftkafka", cluster="$cluster", instance="$node"} * 1000',
            "Again and again a few minutes ago: something ends it. The journal says what.",
            "node-down",
            unit="dateTimeFromNow",
        ),
        stat(
            "Fenced",
            'raftkafka_broker_fenced{cluster="$cluster", instance="$node"}',
            "True: the controller does not let it lead. Right after a start that is as it should be; "
            "later its heartbeats do not arrive.",
            "node-down",
            unit="bool",
            steps=bad_from(1),
        ),
        stat(
            "Replicas",
            'raftkafka_partitions{cluster="$cluster", instance="$node"}',
            "On this node. Thousands cost memory and make its restart slower.",
            "under-replicated",
        ),
        stat(
            "Leaders",
            'raftkafka_leader_partitions{cluster="$cluster", instance="$node"}',
            "Partitions that it leads. 0 on an active broker: leaders have not come back, `rk cluster elect-leaders`.",
            "under-replicated",
        ),
        stat(
            "Offline replicas",
            'raftkafka_offline_replicas{cluster="$cluster", instance="$node"}',
            "Replicas that a failure took out of service. More than 0: a log directory is offline, or damage was found.",
            "log-directory-offline",
            steps=bad_from(1),
        ),
    ),
)
_REQUESTS: Final = Row(
    title="What it serves",
    panels=(
        Panel(
            title="Requests, by API",
            unit="reqps",
            queries={
                "{{api}}": "sum by (api) (rate(raftkafka_request_duration_seconds_count"
                '{cluster="$cluster", instance="$node"}[$__rate_interval]))',
            },
            description="Many requests and few records: clients do not batch (linger_ms). Metadata all the time: clients keep reconnecting.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Duration of requests: slowest hundredth",
            unit="s",
            queries={
                "{{api}}": "histogram_quantile(0.99, sum by (api, le) (rate(raftkafka_request_duration_seconds_bucket"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])))',
            },
            description="Fetch waits for records on purpose (fetch.max.wait.ms), JoinGroup for the other members. Produce waits for syncs and "
            "followers: when it rises alone, look at those.",
            runbook="slow-sync",
        ),
        Panel(
            title="Duration of requests: median",
            unit="s",
            queries={
                "{{api}}": "histogram_quantile(0.5, sum by (api, le) (rate(raftkafka_request_duration_seconds_bucket"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])))',
            },
            description="Rises with the slowest hundredth: the node is loaded. Stays low while that rises: single stalls, of a disk or the loop.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Bytes in and out",
            unit="binBps",
            queries={
                "in, from producers": "sum(rate(raftkafka_partition_bytes_in_total"
                '{cluster="$cluster", instance="$node"}[$__rate_interval]))',
                "out, to consumers and followers": "sum(rate(raftkafka_partition_bytes_out_total"
                '{cluster="$cluster", instance="$node"}[$__rate_interval]))',
            },
            description="Where it leads. One broker far above the others: leaders of busy topics are crowded on it, move some.",
            runbook="under-replicated",
        ),
        Panel(
            title="Answers with an error",
            unit="reqps",
            queries={
                "{{api}} {{error}}": "sum by (api, error) (rate(raftkafka_request_errors_total"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])) > 0',
            },
            description="NOT_LEADER_OR_FOLLOWER after a fail-over ends by itself. KAFKA_STORAGE_ERROR: a disk failed or is full.",
            runbook="log-directory-offline",
            no_data="no errors",
        ),
        Panel(
            title="Requests that wait",
            unit="short",
            queries={
                "waiting": 'raftkafka_waiting_requests{cluster="$cluster", instance="$node"}',
            },
            description="For replicas or for new records: consumers without work make up most. Rises with Produce's duration: followers lag.",
            runbook="under-replicated",
        ),
        Panel(
            title="Connections, by listener",
            unit="short",
            queries={
                "{{listener}}": 'raftkafka_connections{cluster="$cluster", instance="$node"}',
            },
            description="Open ones. Rises without end: a client does not close what it opens.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Connections opened, by listener",
            unit="cps",
            queries={
                "{{listener}}": 'rate(raftkafka_connections_opened_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="High while few are open: clients connect for every record, or are turned away. Find them by address in the log.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Closed for bytes that are no request",
            unit="cps",
            queries={
                "{{listener}}": 'rate(raftkafka_malformed_frames_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="Something speaks another protocol: a port scan, a health check by TCP, a Kafka client at the wrong port. "
            "The log names the address.",
            runbook="node-down",
            no_data="none",
        ),
        Panel(
            title="Throttled by quotas",
            unit="percentunit",
            queries={
                "{{quota}}": 'rate(raftkafka_quota_throttle_seconds_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="Seconds a second in which connections were not listened to. As meant, where you set quotas; "
            "`rk config describe` shows them.",
            runbook="consumer-lag-growing",
            no_data="nothing throttled",
        ),
        Panel(
            title="Requests beyond a quota",
            unit="reqps",
            queries={
                "{{quota}}": 'rate(raftkafka_quota_throttles_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="A consumer that falls behind although it is quick: its quota is too small.",
            runbook="consumer-lag-growing",
            no_data="none",
        ),
        Panel(
            title="ISR of what it leads",
            unit="cps",
            queries={
                "replicas left": 'rate(raftkafka_isr_shrinks_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
                "replicas joined": 'rate(raftkafka_isr_expands_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="All the time: a follower is too slow for what this node is sent.",
            runbook="under-replicated",
        ),
        Panel(
            title="Partitions it leads that are short of replicas",
            unit="short",
            queries={
                "under-replicated": 'raftkafka_under_replicated_partitions{cluster="$cluster", instance="$node"}',
                "refuse acks=all": 'raftkafka_under_min_isr_partitions{cluster="$cluster", instance="$node"}',
                "replicas here whose partition nobody leads": 'raftkafka_partitions_without_leader{cluster="$cluster", instance="$node"}',
            },
            description="More than 0: `rk why partition` says which broker is missing, and since when.",
            runbook="under-min-isr",
            steps=bad_from(1),
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid="raftkafka-broker",
    title="raftkafka / Broker",
    description="One broker: what it serves, what it waits for, and what its machine has left.",
    variables=(CLUSTER, Variable(name="node", label="instance", metric="raftkafka_node_info")),
    rows=(_STATE, _REQUESTS, MACHINE, ZOOKEEPER),
)
