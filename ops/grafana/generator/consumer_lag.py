"""Consumer groups: who is behind, since when, and whether it will catch up."""

from __future__ import annotations

from typing import Final

from ops.grafana.generator.model import CLUSTER, Dashboard, Panel, Row, Variable, bad_from, stat

_CHOSEN: Final = 'cluster="$cluster", group=~"$group", topic=~"$topic"'
_NOBODY: Final = "nothing committed"
_LAG: Final = Row(
    title="Who is behind?",
    panels=(
        stat(
            "Records behind",
            f"sum(raftkafka:group_topic_lag:records{{{_CHOSEN}}})",
            "Of all groups chosen above. Much alone is no trouble; much and rising is.",
            "consumer-lag-growing",
            no_data=_NOBODY,
        ),
        stat(
            "Groups behind",
            f"count(sum by (group) (raftkafka:group_topic_lag:records{{{_CHOSEN}}}) > 1000) or vector(0)",
            "Groups that are more than 1000 records behind.",
            "consumer-lag-growing",
            steps=bad_from(1),
        ),
        stat(
            "Members",
            'sum(raftkafka_group_members{cluster="$cluster"})',
            "Of all groups. Fewer than the consumers you run: some cannot join, look at their logs.",
            "consumer-lag-growing",
        ),
        stat(
            "Groups being loaded",
            'sum(raftkafka_group_partitions_loading{cluster="$cluster"})',
            "Partitions of __consumer_offsets that a new coordinator reads. Stays above 0: that broker's disk, or very many commits.",
            "slow-sync",
            steps=bad_from(1),
        ),
        stat(
            "Offsets without series",
            'sum(raftkafka_group_offsets_without_series{cluster="$cluster"})',
            "Committed offsets beyond the first 2000 of a coordinator, which this dashboard leaves out. "
            "Delete groups that nobody uses.",
            "consumer-lag-growing",
            steps=bad_from(1),
        ),
        stat(
            "Commits per second",
            'sum(rate(raftkafka_offset_commits_total{cluster="$cluster"}[$__rate_interval]))',
            "0 while consumers run: they do not commit, and would begin again where they last did.",
            "consumer-lag-growing",
            unit="ops",
        ),
        Panel(
            title="Lag, by group and topic",
            unit="short",
            queries={
                "{{group}} {{topic}}": f"raftkafka:group_topic_lag:records{{{_CHOSEN}}}",
            },
            description="Rises steadily: the group is too slow, or stands still. A saw: it commits now and then, which is fine. "
            "Rises at once and falls: a burst.",
            runbook="consumer-lag-growing",
            width=12,
            height=9,
            no_data=_NOBODY,
        ),
        Panel(
            title="Lag, the ten worst partitions",
            unit="short",
            queries={
                "{{group}} {{topic}}-{{partition}}": f"topk(10, raftkafka:group_lag:records{{{_CHOSEN}}})",
            },
            description="One partition alone: its consumer hangs on a record or has died, or its key is far busier than the others. "
            "All: the group as a whole is too slow.",
            runbook="consumer-lag-growing",
            width=12,
            height=9,
            no_data=_NOBODY,
        ),
    ),
)
_PACE: Final = Row(
    title="Will it catch up?",
    panels=(
        Panel(
            title="Records a second: read, and written",
            unit="cps",
            queries={
                "{{group}} reads {{topic}}": "sum by (group, topic) (deriv(max by (group, topic, partition) "
                f"(raftkafka_group_committed_offset{{{_CHOSEN}}})[10m:]))",
                "written to {{topic}}": 'raftkafka:topic_records_in:rate5m{cluster="$cluster", topic=~"$topic"}',
            },
            description="By the offsets committed within ten minutes. The group reads less than is written: more consumers, up to the number of "
            "partitions, or faster ones. It reads nothing: it stands still, `rk why group` says since when and because of whom.",
            runbook="consumer-lag-growing",
            signed=True,
            no_data=_NOBODY,
        ),
        Panel(
            title="Seconds until caught up",
            unit="s",
            queries={
                "{{group}} {{topic}}": f"raftkafka:group_topic_lag:records{{{_CHOSEN}}} "
                f"/ (-deriv(raftkafka:group_topic_lag:records{{{_CHOSEN}}}[10m]) > 0)",
            },
            description="At the pace of the last ten minutes; nothing is drawn for a group that falls behind or stands still. "
            "Longer than the retention of the topic: records will be deleted unread.",
            runbook="consumer-lag-growing",
            no_data="nobody catches up",
        ),
        Panel(
            title="Age of retention ahead of the group",
            unit="short",
            queries={
                "{{group}} {{topic}}": f"min by (group, topic) (max by (group, topic, partition) (raftkafka_group_committed_offset{{{_CHOSEN}}}) "
                "- on (topic, partition) group_left () max by (topic, partition) "
                '(raftkafka_partition_log_start_offset{cluster="$cluster", topic=~"$topic"}))',
            },
            description="Records between the oldest that is kept and where the group stands, in its worst partition. Falls towards 0: "
            "retention overtakes the group, make it longer now. Below 0: records were deleted unread.",
            runbook="consumer-lag-growing",
            signed=True,
            no_data=_NOBODY,
        ),
    ),
)
_GROUPS: Final = Row(
    title="How are the groups?",
    panels=(
        Panel(
            title="Groups, by state",
            unit="short",
            queries={
                "{{state}}": 'sum by (state) (raftkafka_groups{cluster="$cluster"})',
            },
            description="PREPARING_REBALANCE for long: a member does not come back from its records in time (max.poll.interval.ms). "
            "EMPTY: nobody reads.",
            runbook="consumer-lag-growing",
            stacked=True,
            no_data="no groups",
        ),
        Panel(
            title="Rebalances",
            unit="cps",
            queries={
                "generations": 'sum(rate(raftkafka_group_rebalances_total{cluster="$cluster"}[$__rate_interval]))',
            },
            description="All the time: members come and go, or are thrown out for being slow; `rk why group` names them. "
            "Static membership (group.instance.id) keeps restarts quiet.",
            runbook="consumer-lag-growing",
        ),
        Panel(
            title="Members, by coordinator",
            unit="short",
            queries={
                "{{instance}}": 'raftkafka_group_members{cluster="$cluster"}',
            },
            description="All on one broker: the coordinators of the groups are the leaders of __consumer_offsets, `rk cluster elect-leaders`.",
            runbook="under-replicated",
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid="raftkafka-consumer-lag",
    title="raftkafka / Consumer lag",
    description="Consumer groups: who is behind, since when, and whether it will catch up.",
    variables=(
        CLUSTER,
        Variable(name="group", label="group", metric="raftkafka_group_committed_offset", several=True),
        Variable(name="topic", label="topic", metric="raftkafka_group_committed_offset", several=True),
    ),
    rows=(_LAG, _PACE, _GROUPS),
)
