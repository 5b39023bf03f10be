"""A log directory: whose it is, whether it was closed in order, and which partitions it holds.

Floor 2. Invariants: a directory belongs to one broker of one cluster and is used by one process; a partition directory
carries its topic id, and a log of an older topic of the same name never passes for the new one's (KIP-516).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from raftkafka.model import topics
from raftkafka.model.errors import StartupError, StorageError
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    BrokerEpoch,
    DirectoryId,
    NodeId,
    Offset,
    PartitionIndex,
    TopicId,
    TopicPartition,
)
from raftkafka.ports.disk import Disk, Lock
from raftkafka.storage import checkpoint
from raftkafka.storage.checkpoint import Offsets

LOCK_FILE: Final = ".lock"
META_FILE: Final = "meta.properties"
CLEAN_SHUTDOWN_FILE: Final = ".kafka_cleanshutdown"
PARTITION_METADATA_FILE: Final = "partition.metadata"
DELETE_SUFFIX: Final = "-delete"
STRAY_SUFFIX: Final = "-stray"

_PARTITION: Final = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})-(?P<partition>0|[1-9][0-9]{0,9})")
_DELETED: Final = re.compile(r".+\.[0-9a-f]{32}-delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLog:
    """A partition directory that was there at the start."""

    topic_partition: TopicPartition
    topic: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryIdentity:
    """`meta.properties`. `directory_id` is 16 bytes, drawn when the directory is first used (KIP-858). `unsynced`: since the
    last orderly stop, records may have been acknowledged here before they were synced."""

    cluster_id: str
    broker_id: NodeId
    directory_id: DirectoryId
    unsynced: bool = False


class LogDirectory:
    """One entry of `log.dirs`, locked by this process until `close`.

    `was_synced`: when this start found it, everything that was ever acknowledged here had been synced.
    """

    def __init__(
        self,
        disk: Disk,
        path: str,
        lock: Lock,
        *,
        identity: DirectoryIdentity,
        clean_epoch: BrokerEpoch | None,
        was_synced: bool,
    ) -> None:
        self.path = path
        self.identity = identity
        self.clean_epoch = clean_epoch
        self.was_synced = was_synced
        self._disk = disk
        self._lock = lock

    @classmethod
    def open(
        cls,
        disk: Disk,
        path: str,
        *,
        cluster_id: str,
        broker_id: NodeId,
        new_directory_id: DirectoryId,
        acknowledges_unsynced: bool = False,
    ) -> LogDirectory:
        """Lock and identify the directory, making it when it is missing; the clean mark is taken and removed.

        `new_directory_id`: 16 random bytes, used when the directory is new. An empty `cluster_id` accepts that of the
        directory (a node that has not yet learnt its cluster's). `acknowledges_unsynced`: from now on, what is acknowledged
        here need not be synced (`log.flush.policy` is not `group`).

        Raises:
            StartupError: in use by another process, or another broker's or cluster's, or unreadable.
        """
        try:
            disk.make_dir(path)
            lock = disk.lock(f"{path}/{LOCK_FILE}")
            try:
                identity = identify(disk, path, cluster_id, broker_id, new_directory_id)
                clean_epoch = _take_clean_mark(disk, path)
                was_synced = clean_epoch is not None or not identity.unsynced
                # Before anything is written here. Once in doubt it stays so until an orderly stop.
                unsynced = acknowledges_unsynced or not was_synced
                if unsynced != identity.unsynced:
                    identity = replace(identity, unsynced=unsynced)
                    write_identity(disk, path, identity)
            except BaseException:
                lock.release()
                raise
        except StorageError as error:
            raise StartupError(f"the log directory {path} cannot be used: {error}") from error
        return cls(disk, path, lock, identity=identity, clean_epoch=clean_epoch, was_synced=was_synced)

    def check(self) -> None:
        """Look whether the directory is still there; what is open in it goes on working although it was removed.

        Raises:
            StorageError: it was removed or unmounted, or its device does not answer.
        """
        if not self._disk.exists(f"{self.path}/{META_FILE}"):
            raise StorageError(f"{self.path} is gone: it was removed or unmounted, or its device has failed")

    @property
    def was_clean(self) -> bool:
        """True when the last process synced and closed everything before it stopped."""
        return self.clean_epoch is not None

    @property
    def previous_broker_epoch(self) -> BrokerEpoch:
        """The broker epoch of the orderly stop; -1 after any other (KIP-966)."""
        return NO_BROKER_EPOCH if self.clean_epoch is None else self.clean_epoch

    def partition_path(self, topic: str, partition: PartitionIndex) -> str:
        """Where the log of `topic`-`partition` lives.

        Raises:
            StorageError: the name is no legal topic name; it must never become a path.
        """
        if topics.why_illegal(topic) is not None or partition < 0:
            raise StorageError(f"{topic!r}-{partition} cannot be a directory")
        return f"{self.path}/{topic}-{partition}"

    def discover(self) -> list[FoundLog]:
        """The partitions that are here. What is left of deletions is removed, what has no topic id is moved aside."""
        found = []
        for name in self._disk.list_dir(self.path):
            path = f"{self.path}/{name}"
            if _DELETED.fullmatch(name):
                self._disk.remove_tree(path)
                continue
            match = _PARTITION.fullmatch(name)
            if match is None:
                continue
            topic_id = self._topic_id(path)
            if topic_id is None:
                # Made, but never synced whole: nothing in it was ever acknowledged as durable.
                self.set_aside(path)
                continue
            key = TopicPartition(topic_id, PartitionIndex(int(match["partition"])))
            found.append(FoundLog(topic_partition=key, topic=match["topic"], path=path))
        return found

    async def create(self, topic: str, topic_partition: TopicPartition) -> str:
        """The directory of a partition, durable with its topic id; an existing one of the same topic id is fine.

        A stray directory of an older topic of that name is moved aside first.

        Raises:
            StorageError: the disk refused.
        """
        path = self.partition_path(topic, topic_partition.partition)
        if self._disk.exists(path):
            if self._topic_id(path) == topic_partition.topic_id:
                if not self.was_clean:
                    await self._make_durable(path)
                return path
            self.set_aside(path)
        self._disk.make_dir(path)
        file = self._disk.open(f"{path}/{PARTITION_METADATA_FILE}", create=True)
        try:
            file.append([f"version: 0\ntopic_id: {encode_topic_id(topic_partition.topic_id)}\n".encode("ascii")])
            await self._disk.sync([file])
        finally:
            file.close()
        return path

    async def _make_durable(self, path: str) -> None:
        """Sync the topic id and the names of a partition directory.

        A process that died while it made them leaves them in the cache, where the next one finds them; to that they are not
        new, so it would never sync them, and with the next loss of power the log would belong to no topic (I1).
        """
        file = self._disk.open(f"{path}/{PARTITION_METADATA_FILE}")
        try:
            await self._disk.sync([file])
        finally:
            file.close()
        self._disk.sync_dir(path)
        self._disk.sync_dir(self.path)

    def delete(self, path: str, *, unique: bytes) -> None:
        """Rename the partition directory at `path` out of sight, durably, then remove it. `unique`: 16 random bytes."""
        target = f"{path}.{unique.hex()}{DELETE_SUFFIX}"
        self._disk.rename(path, target)
        self._disk.sync_dir(self.path)
        self._disk.remove_tree(target)

    def set_aside(self, path: str) -> str:
        """Rename a partition directory that nobody may use; its bytes stay for whoever wants to look. The new path."""
        target = f"{path}.0{STRAY_SUFFIX}"
        count = 0
        while self._disk.exists(target):
            count += 1
            target = f"{path}.{count}{STRAY_SUFFIX}"
        self._disk.rename(path, target)
        self._disk.sync_dir(self.path)
        return target

    def read_offsets(self, file: str) -> dict[tuple[str, int], Offset]:
        """The checkpoint `file` (a name from `storage.checkpoint`) of this directory."""
        return dict(checkpoint.read(self._disk, f"{self.path}/{file}"))

    async def write_offsets(self, file: str, offsets: Offsets) -> None:
        await checkpoint.write(self._disk, f"{self.path}/{file}", offsets)

    def mark_clean(self, broker_epoch: BrokerEpoch) -> None:
        """Say that everything here is synced and closed; the last write of an orderly stop."""
        self._disk.write_atomic(f"{self.path}/{CLEAN_SHUTDOWN_FILE}", _encode_clean_mark(broker_epoch))

    def free_bytes(self) -> int:
        return self._disk.free_bytes(self.path)

    def total_bytes(self) -> int:
        return self._disk.total_bytes(self.path)

    def close(self) -> None:
        self._lock.release()

    def _topic_id(self, path: str) -> TopicId | None:
        metadata = f"{path}/{PARTITION_METADATA_FILE}"
        if not self._disk.exists(metadata):
            return None
        fields = _properties(self._disk.read_file(metadata), separator=":")
        return decode_topic_id(fields.get("topic_id", "")) if fields.get("version") == "0" else None


def encode_topic_id(topic_id: TopicId) -> str:
    """Kafka's text form of a UUID: base64url without padding, 22 characters."""
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode("ascii")


def decode_topic_id(text: str) -> TopicId | None:
    """The 16 bytes of `encode_topic_id`; None for anything else."""
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return TopicId(raw) if len(raw) == 16 else None


def identify(
    disk: Disk, path: str, cluster_id: str, broker_id: NodeId, new_directory_id: DirectoryId
) -> DirectoryIdentity:
    """Whose the directory at `path` is; one that is nobody's becomes this broker's.

    Raises:
        StartupError: another broker's or cluster's, or unreadable.
    """
    meta = f"{path}/{META_FILE}"
    if not disk.exists(meta):
        identity = DirectoryIdentity(cluster_id=cluster_id, broker_id=broker_id, directory_id=new_directory_id)
        write_identity(disk, path, identity)
        return identity
    fields = _properties(disk.read_file(meta), separator="=")
    directory_id = decode_topic_id(fields.get("directory.id", ""))
    if fields.get("version") != "1" or not fields.get("broker.id", "").isdecimal() or directory_id is None:
        raise StartupError(f"{meta} is damaged or of another version; it names the owner of the log directory {path}")
    owner = NodeId(int(fields["broker.id"]))
    if owner != broker_id:
        raise StartupError(f"the log directory {path} belongs to broker {owner}, this is broker {broker_id}")
    stored_cluster = fields.get("cluster.id", "")
    if cluster_id and stored_cluster and stored_cluster != cluster_id:
        raise StartupError(
            f"the log directory {path} belongs to cluster {stored_cluster}, this is cluster {cluster_id}"
        )
    identity = DirectoryIdentity(
        cluster_id=stored_cluster or cluster_id,
        broker_id=broker_id,
        directory_id=DirectoryId(directory_id),
        unsynced=fields.get("unsynced") == "true",
    )
    if identity.cluster_id != stored_cluster:
        write_identity(disk, path, identity)
    return identity


def write_identity(disk: Disk, path: str, identity: DirectoryIdentity) -> None:
    """Write `meta.properties` of the directory at `path`, durably."""
    lines = [
        "version=1",
        f"cluster.id={identity.cluster_id}",
        f"broker.id={identity.broker_id}",
        f"directory.id={encode_topic_id(TopicId(identity.directory_id))}",
    ]
    if identity.unsynced:
        lines.append("unsynced=true")
    disk.write_atomic(f"{path}/{META_FILE}", ("\n".join(lines) + "\n").encode("utf-8"))


def _encode_clean_mark(broker_epoch: BrokerEpoch) -> bytes:
    return f'{{"version":0,"brokerEpoch":{broker_epoch}}}\n'.encode("ascii")


def _take_clean_mark(disk: Disk, path: str) -> BrokerEpoch | None:
    """The broker epoch in the mark, which is gone, durably, before anything is written: from now on we are unclean."""
    mark = f"{path}/{CLEAN_SHUTDOWN_FILE}"
    if not disk.exists(mark):
        return None
    match = re.fullmatch(rb'\{"version":0,"brokerEpoch":(-?[0-9]{1,19})\}\n', disk.read_file(mark))
    disk.remove(mark)
    disk.sync_dir(path)
    return None if match is None else BrokerEpoch(int(match[1]))


def _properties(content: bytes, *, separator: str) -> dict[str, str]:
    lines: Iterable[str] = content.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(separator) for line in lines if separator in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}
