"""What the machine of a broker has left, and its ZooKeeper port: the second half of the broker's dashboard."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.model import Panel, Row, bad_below, bad_from, stat

MACHINE: Final = Row(
    title="What it has to live on",
    panels=(
        Panel(
            title="Syncs to disk: slowest hundredth",
            unit="s",
            queries={
                "partition logs": 'raftkafka:log_sync_seconds:p99_5m{cluster="$cluster", instance="$node"}',
                "Raft's journal": 'raftkafka:raft_sync_seconds:p99_5m{cluster="$cluster", instance="$node"}',
            },
            description="Both high: the disk. Logs alone: what is produced is too much for it. Above a quarter of a second an alert fires.",
            runbook="slow-sync",
            steps=bad_from(0.25),
        ),
        Panel(
            title="Syncs, and files synced",
            unit="ops",
            queries={
                "syncs": 'rate(raftkafka_log_sync_seconds_count{cluster="$cluster", instance="$node"}[$__rate_interval])',
                "files": 'rate(raftkafka_log_synced_files_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="One sync serves all batches that wait. Many files for each: the load is spread over many partitions, "
            "which costs the disk more than few.",
            runbook="slow-sync",
        ),
        Panel(
            title="Event loop: slowest hundredth of steps",
            unit="s",
            queries={
                "delay": 'raftkafka:event_loop_delay_seconds:p99_5m{cluster="$cluster", instance="$node"}',
            },
            description="Everything of the node waits as long. High: a whole core is used, or the machine swaps or gives none.",
            runbook="event-loop-stalls",
            steps=bad_from(0.25),
        ),
        Panel(
            title="Steps of more than 250 ms, in five minutes",
            unit="short",
            queries={
                "stalls": 'raftkafka:event_loop_stalls:increase5m{cluster="$cluster", instance="$node"}',
            },
            description="More than five and an alert fires: half a second more of silence, and the others elect another controller.",
            runbook="event-loop-stalls",
            steps=bad_from(5),
        ),
        Panel(
            title="Processor",
            unit="percentunit",
            queries={
                "of one core": "rate(process_cpu_seconds_total"
                '{job="raftkafka", cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="A node uses one core, and some more for syncs and compression. Near 1 all the time: move leaders away, "
            "or run more nodes.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Memory",
            unit="bytes",
            queries={
                "resident": 'process_resident_memory_bytes{job="raftkafka", cluster="$cluster", instance="$node"}',
            },
            description="Grows with partitions and connections, and stays where they do. Rises without end: a leak, report it.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="File descriptors",
            unit="short",
            queries={
                "open": 'process_open_fds{job="raftkafka", cluster="$cluster", instance="$node"}',
                "limit": 'process_max_fds{job="raftkafka", cluster="$cluster", instance="$node"}',
            },
            description="At the limit no connection is taken any more. Raise LimitNOFILE of the unit, or look for who opens them.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Log directories: left and used by logs",
            unit="bytes",
            queries={
                "{{directory}} left": 'raftkafka_log_directory_free_bytes{cluster="$cluster", instance="$node"}',
                "{{directory}} logs": 'raftkafka_log_directory_size_bytes{cluster="$cluster", instance="$node"}',
                "{{directory}} capacity": 'raftkafka_log_directory_capacity_bytes{cluster="$cluster", instance="$node"}',
            },
            description="What is left falls while the logs do not grow: something else fills the disk.",
            runbook="disk-filling",
        ),
        Panel(
            title="Log directories online",
            unit="bool",
            queries={
                "{{directory}}": 'raftkafka_log_directory_online{cluster="$cluster", instance="$node"}',
            },
            description="False from the first failure until the node is started again: mend the disk first.",
            runbook="log-directory-offline",
            kind="bargauge",
            steps=bad_below(1),
            maximum=1,
        ),
        Panel(
            title="Spans of traces",
            unit="cps",
            queries={
                "exported": 'rate(raftkafka_trace_spans_exported_total{cluster="$cluster", instance="$node"}[$__rate_interval])',
                "dropped: {{reason}}": "rate(raftkafka_trace_spans_dropped_total"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])',
            },
            description="Dropped by the collector: it is down, or refuses. Dropped by the queue: too much is sampled for it. "
            "The node itself does not wait for either.",
            runbook="README",
            no_data="no otel.traces.exporter",
        ),
        stat(
            "Partitions without series",
            'raftkafka_partitions_without_series{cluster="$cluster", instance="$node"}',
            "Replicas beyond the first 2000: they work, and the panels by topic leave them out.",
            "README",
        ),
        stat(
            "Clock, less Prometheus'",
            'raftkafka:clock_offset:seconds{cluster="$cluster", instance="$node"}',
            "Compare with the other nodes on the dashboard of the cluster. More than half a second apart: its NTP.",
            "clock-skew",
            unit="s",
        ),
        stat(
            "Version",
            'count by (version) (raftkafka_build_info{cluster="$cluster", instance="$node"})',
            "During an upgrade nodes differ; afterwards none may.",
            "upgrade-and-rollback",
            unit="none",
        ),
    ),
)
_NO_PORT: Final = "no zookeeper.listener"
ZOOKEEPER: Final = Row(
    title="ZooKeeper port",
    panels=(
        Panel(
            title="Requests, by operation",
            unit="reqps",
            queries={
                "{{operation}}": "sum by (operation) (rate(raftkafka_zookeeper_request_duration_seconds_count"
                '{cluster="$cluster", instance="$node"}[$__rate_interval]))',
            },
            description="Tools that poll. Very many: set a watch instead, or a quota in the tool.",
            runbook="event-loop-stalls",
            no_data=_NO_PORT,
        ),
        Panel(
            title="Duration of requests: slowest hundredth",
            unit="s",
            queries={
                "{{operation}}": "histogram_quantile(0.99, sum by (operation, le) "
                "(rate(raftkafka_zookeeper_request_duration_seconds_bucket"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])))',
            },
            description="Writes go through Raft and wait for a majority's disks; reads do not. Writes rise: look at Raft's syncs.",
            runbook="slow-sync",
            no_data=_NO_PORT,
        ),
        Panel(
            title="Answers with an error",
            unit="reqps",
            queries={
                "{{operation}} {{error}}": "sum by (operation, error) (rate(raftkafka_zookeeper_request_errors_total"
                '{cluster="$cluster", instance="$node"}[$__rate_interval])) > 0',
            },
            description="NONODE and NODEEXISTS are how tools look around. CONNECTIONLOSS and SESSIONEXPIRED: there was no majority for a while.",
            runbook="no-quorum",
            no_data="no errors",
        ),
        Panel(
            title="Sessions, watches, waiting requests",
            unit="short",
            queries={
                "sessions": 'raftkafka_zookeeper_sessions{cluster="$cluster", instance="$node"}',
                "watches": 'raftkafka_zookeeper_watches{cluster="$cluster", instance="$node"}',
                "waiting requests": 'raftkafka_zookeeper_outstanding_requests{cluster="$cluster", instance="$node"}',
            },
            description="Sessions rise without end: a client does not close them, they last until their time-out.",
            runbook="no-quorum",
            no_data=_NO_PORT,
        ),
        Panel(
            title="Stored nodes",
            unit="short",
            queries={
                "nodes": 'raftkafka_zookeeper_nodes{cluster="$cluster", instance="$node"}',
                "ephemeral": 'raftkafka_zookeeper_ephemeral_nodes{cluster="$cluster", instance="$node"}',
            },
            description="Grows without end: a tool creates and never deletes.",
            runbook="no-quorum",
            no_data=_NO_PORT,
        ),
        Panel(
            title="Sessions expired",
            unit="cps",
            queries={
                "expired": 'rate(raftkafka_zookeeper_sessions_expired_total{cluster="$cluster", instance="$node"}'
                "[$__rate_interval])",
            },
            description="Counted by the controller: nobody was heard of in time. Clients that end without closing, or that stall; "
            "many at once: this node or the network did.",
            runbook="event-loop-stalls",
        ),
        Panel(
            title="Size of the tree",
            unit="bytes",
            queries={
                "stored": 'raftkafka_zookeeper_tree_bytes{cluster="$cluster", instance="$node"}',
            },
            description="At 64 MiB nothing more is stored. Delete what tools left behind.",
            runbook="no-quorum",
            no_data=_NO_PORT,
            steps=bad_from(60 << 20),
        ),
    ),
)
