"""Kafka's other keys: known, so that a file written for Kafka starts a node, and answered with a sentence each.

Floor 0. Nothing that a Kafka user relies on for safety is passed over in silence: what would weaken security is an error in
`load`, the rest becomes a note.
"""

from __future__ import annotations

from typing import Final

ZOOKEEPER_NOTE: Final = (
    "there is no ZooKeeper to connect to: the nodes keep the cluster's metadata themselves, with Raft; "
    "controller.quorum.voters names them"
)
UNUSED_NOTE: Final = "is one of Kafka's keys, raftkafka has no use for it"

ZOOKEEPER_KEYS: Final = frozenset(
    {
        "zookeeper.connect",
        "zookeeper.connection.timeout.ms",
        "zookeeper.max.in.flight.requests",
        "zookeeper.metadata.migration.enable",
        "zookeeper.session.timeout.ms",
        "zookeeper.set.acl",
        "zookeeper.sync.time.ms",
        "zookeeper.clientCnxnSocket",
        "zookeeper.ssl.client.enable",
    }
)

REFUSED: Final = {
    "authorizer.class.name": "ACLs are not supported yet: a node without them must not look as if it had them",
    "controller.quorum.bootstrap.servers": "is not supported: name all voters in controller.quorum.voters",
}
"""Keys whose silent loss would be dangerous; an empty value is accepted, it asks for nothing."""

EXPLAINED: Final = {
    "advertised.host.name": "advertised.listeners counts",
    "advertised.port": "advertised.listeners counts",
    "control.plane.listener.name": "requests to the controller use the listener of the brokers",
    "host.name": "listeners counts",
    "port": "listeners counts",
    "broker.id.generation.enable": "ids are not generated: set broker.id",
    "controlled.shutdown.enable": "a clean stop always moves leaders away first",
    "controller.socket.timeout.ms": "controller.quorum.request.timeout.ms counts",
    "inter.broker.listener.name": "brokers use the first listener among themselves",
    "log.cleaner.enable": "log.cleanup.policy and a topic's cleanup.policy decide",
    "log.flush.interval.messages": "log.flush.policy decides when the log is synced",
    "log.flush.scheduler.interval.ms": "log.flush.policy decides when the log is synced",
    "num.io.threads": "one event loop serves a node; more nodes on a host use more cores",
    "num.network.threads": "one event loop serves a node; more nodes on a host use more cores",
    "num.replica.fetchers": "one fetch loop per leading broker",
}

_PLAIN: Final = """
alter.config.policy.class.name
alter.log.dirs.replication.quota.window.num alter.log.dirs.replication.quota.window.size.seconds auto.include.jmx.reporter
background.threads client.quota.callback.class client.telemetry.max.bytes compression.gzip.level compression.lz4.level
compression.zstd.level config.providers connection.failed.authentication.delay.ms connections.max.reauth.ms
controlled.shutdown.max.retries controlled.shutdown.retry.backoff.ms controller.performance.always.log.threshold.ms
controller.performance.sample.period.ms controller.quorum.append.linger.ms controller.quorum.election.backoff.max.ms
controller.quorum.fetch.timeout.ms controller.quorum.retry.backoff.ms controller.quota.window.num
controller.quota.window.size.seconds create.topic.policy.class.name delegation.token.expiry.check.interval.ms
delegation.token.expiry.time.ms delegation.token.master.key delegation.token.max.lifetime.ms delegation.token.secret.key
delete.records.purgatory.purge.interval.requests early.start.listeners eligible.leader.replicas.enable
fetch.max.bytes fetch.purgatory.purge.interval.requests group.consumer.assignors group.consumer.heartbeat.interval.ms
group.consumer.max.heartbeat.interval.ms group.consumer.max.session.timeout.ms group.consumer.max.size
group.consumer.migration.policy group.consumer.min.heartbeat.interval.ms group.consumer.min.session.timeout.ms
group.consumer.session.timeout.ms group.coordinator.append.linger.ms group.coordinator.new.enable
group.coordinator.rebalance.protocols group.coordinator.threads
initial.broker.registration.timeout.ms inter.broker.protocol.version
internal.listener kafka.metrics.polling.interval.secs kafka.metrics.reporters
log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size
log.cleaner.io.max.bytes.per.second
log.cleaner.threads log.deletion.delay.ms log.dir.failure.timeout.ms
log.flush.offset.checkpoint.interval.ms log.flush.start.offset.checkpoint.interval.ms log.initial.task.delay.ms
log.local.retention.bytes log.local.retention.ms log.message.downconversion.enable log.max.id.map.snapshots log.message.format.version

log.preallocate log.segment.delete.delay.ms max.connection.creation.rate
max.connections.per.ip.overrides max.request.partition.size.limit
metadata.log.max.record.bytes.between.snapshots metadata.log.max.snapshot.interval.ms metadata.log.segment.bytes
metadata.log.segment.min.bytes metadata.log.segment.ms metadata.max.idle.interval.ms metadata.max.retention.bytes
metadata.max.retention.ms metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
num.alter.log.dirs.threads num.quota.samples num.recovery.threads.per.data.dir num.replica.alter.log.dirs.threads
offsets.commit.required.acks offsets.load.buffer.size
offsets.topic.compression.codec
password.encoder.cipher.algorithm password.encoder.iterations
password.encoder.key.length password.encoder.keyfactory.algorithm password.encoder.old.secret password.encoder.secret
principal.builder.class
producer.purgatory.purge.interval.requests queued.max.request.bytes queued.max.requests quota.consumer.default
quota.producer.default replica.fetch.response.min.bytes
replica.socket.receive.buffer.bytes replica.socket.timeout.ms replication.quota.window.num
replication.quota.window.size.seconds request.timeout.ms reserved.broker.max.id security.providers
server.max.startup.time.ms socket.connection.setup.timeout.max.ms socket.listen.backlog.size socket.receive.buffer.bytes
socket.send.buffer.bytes super.users telemetry.max.bytes transaction.abort.timed.out.transaction.cleanup.interval.ms
transaction.max.timeout.ms transaction.partition.verification.enable
transaction.remove.expired.transaction.cleanup.interval.ms transaction.state.log.load.buffer.size
transaction.state.log.min.isr transaction.state.log.num.partitions transaction.state.log.replication.factor
transaction.state.log.segment.bytes transaction.two.phase.commit.enable transactional.id.expiration.ms
unstable.api.versions.enable unstable.feature.versions.enable
"""

UNUSED: Final = frozenset(_PLAIN.split())
_FAMILIES: Final = ("ssl.", "sasl.", "listener.name.", "zookeeper.ssl.", "remote.log.", "log.remote.", "group.share.")


def note_on(name: str) -> str | None:
    """What to tell about a key of Kafka's on which this node does not act; None when Kafka has no such key."""
    if name in ZOOKEEPER_KEYS or name.startswith("zookeeper."):
        return ZOOKEEPER_NOTE
    if name in EXPLAINED:
        return EXPLAINED[name]
    if name in UNUSED or name.startswith(_FAMILIES):
        return UNUSED_NOTE
    return None
