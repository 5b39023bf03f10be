"""The text of `docs/configuration.md`, from the table of keys and the defaults in `values`.

Floor 0. A test keeps the committed page current; to write it anew: `python -m raftkafka.model.settings.page`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from raftkafka.model.settings.dynamic import CLUSTER_WIDE, DYNAMIC
from raftkafka.model.settings.kafka_keys import EXPLAINED, REFUSED, UNUSED, ZOOKEEPER_NOTE
from raftkafka.model.settings.keys import HOUR_MS, KEYS, MINUTE_MS, Key
from raftkafka.model.settings.values import Settings

_PREAMBLE: Final = """\
# Configuration

A node reads one `server.properties`: `rk broker server.properties`. Keys and meanings are Kafka's; those marked *ours* do not
exist in Kafka, those marked *dynamic* may also change while nodes run, for one broker or for all (`rk config`); what is set so goes
before the file. `rk broker --check server.properties` says what is wrong or ignored, and starts nothing. Without any file,
`rk up` runs one node on loopback.

Rules of the file: Java properties (`#` and `!` start comments, `=`, `:` or a blank separates, `\\` continues a line); blanks
around values and after commas do not count; `true` and `false` in any case; the last of repeated keys counts. Where
several keys set one thing, the finer unit goes first: `log.retention.ms` over `.minutes` over `.hours`.

A message names the file and the line:

```
server.properties:12: unknown key 'log.retention.hour'; did you mean 'log.retention.hours'?
```

An unknown key is an error (Kafka only warns): a typing error must not leave a default in force.

This page is generated from `raftkafka/model/settings/keys.py`; a test keeps it current. To write it anew:
`python -m raftkafka.model.settings.page > docs/configuration.md`.

## Keys

| key | default | | meaning |
|---|---|---|---|
"""

_DURABILITY: Final = """
## What an acknowledgement has survived

`log.flush.policy` says when a produce request with `acks=all` is answered. In each case the record is in the logs of all in-sync
replicas, at least `min.insync.replicas` of them.

| policy | answered when | a process crashes | the power of one machine fails | the power of all fails at once |
|---|---|---|---|---|
| `group` (default) | synced to disk on those replicas; one sync serves all batches that wait | kept | kept | kept |
| `os` (Kafka's default) | in the page caches of those machines | kept | kept by the others | may be lost |
| `interval` | as `os`, and synced every `log.flush.interval.ms` | kept | kept by the others | the last interval may be lost |

Cell by cell, with every `acks` and the test behind each: [durability.md](durability.md). With one replica there are no others: `os` and `interval` may then lose records with the power of one machine.

## Listeners beyond this machine

Listeners do not encrypt and do not authenticate clients yet. So a listener that other hosts can reach is refused unless
`allow.insecure.listeners=true` says that the network is trusted. Nodes always prove to each other that they know the cluster
secret (`cluster.secret.file`, at least 16 bytes, the same on every node of a cluster with several nodes).

`listeners=PLAINTEXT://:9092` binds every interface, as in Kafka.

"""


def page() -> str:
    rows = [f"| `{key.name}` | {_default(key)} | {_marks(key)} | {key.meaning} |\n" for key in KEYS]
    refused = [f"| `{name}` | refused: {why} |\n" for name, why in sorted(REFUSED.items())]
    explained = [f"| `{name}` | {why} |\n" for name, why in sorted(EXPLAINED.items())]
    return "".join(
        (
            _PREAMBLE,
            *rows,
            _DURABILITY,
            "## Kafka's other keys\n\n",
            f"`zookeeper.connect` and its relatives are accepted and explained: {ZOOKEEPER_NOTE}. ",
            f"{len(UNUSED)} more keys of Kafka's are accepted with a note in the log, because nothing here depends on them ",
            "(`num.recovery.threads.per.data.dir`, `offsets.load.buffer.size`, ...). With a reason of their own:\n\n",
            "| key | what happens |\n|---|---|\n",
            *refused,
            *explained,
            "| `listeners` with `SSL`, `SASL_PLAINTEXT`, `SASL_SSL` | refused: not supported yet |\n",
            "| `process.roles` | `broker,controller` for a voter, `broker` for a node that is none of `controller.quorum.voters` |\n",
        )
    )


def _marks(key: Key) -> str:
    if key.name in CLUSTER_WIDE:
        return "*dynamic, for all brokers*"
    return "*ours*" if key.ours else "*dynamic*" if key.name in DYNAMIC else ""


def _default(key: Key) -> str:
    settings = Settings()
    value = getattr(getattr(settings, key.section) if key.section else settings, key.field)
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if key.name.endswith((".hours", ".minutes")):
        value //= HOUR_MS if key.name.endswith(".hours") else MINUTE_MS
    return f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - its output is the page
