"""A cluster anew from copies of its nodes' directories: one copy says what the metadata is, the others bring their logs.

Floor 5, for nodes that do not run. Copies were made one after the other, so as voters they would have forgotten votes and entries
that others rely on: two leaders of one term, and different entries under one index (docs/adr/0027). Invariants: what a copy promised to the old
cluster counts nowhere (the one that begins gets a new directory id and is the only voter, the others lose their Raft files); the new
cluster has an id of its own, so that no node of the old one, and no older copy, is ever let in; whatever step is the last one that
is done, a start either goes on as the old cluster or is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from raftkafka.adapters.disk import OsDisk
from raftkafka.adapters.prometheus import PrometheusProbe
from raftkafka.adapters.raft import directory as raft_directory
from raftkafka.adapters.raft import snapshot as raft_snapshot
from raftkafka.adapters.raft import voters as raft_voters
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.journal_load import Loaded, load
from raftkafka.adapters.raft.library import COMMAND_NO_OP, COMMAND_REGULAR, COMMAND_VOTERS
from raftkafka.adapters.raft.snapshot import Snapshot, SnapshotStore
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata import snapshot as image_snapshot
from raftkafka.metadata.draft import Draft
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import kafka_nodes
from raftkafka.model.errors import ConfigurationError, StartupError
from raftkafka.model.ids import DirectoryId, NodeId, RaftIndex
from raftkafka.model.settings.values import Settings
from raftkafka.ports.consensus import RaftVoter
from raftkafka.storage.directory import CLEAN_SHUTDOWN_FILE, LOCK_FILE, META_FILE, identify, write_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What the directories of a stopped node say. `term` and `index` are those of its newest Raft entry: of several copies, the one
    whose pair is the greatest has every decision that the cluster had made before the first copy was begun.

    `voters` is empty where no entry names them: they are those of the settings. `in_order`: the node was stopped, not killed.
    """

    node_id: NodeId
    cluster_id: str
    term: int
    index: int
    voters: tuple[NodeId, ...]
    topics: int
    in_order: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata:
    """`term`: the one that the node was in, which may be beyond that of its newest entry."""

    image: Image
    last_term: int
    last_index: int
    term: int
    voters: tuple[RaftVoter, ...]


def look(settings: Settings) -> Copy:
    """Raises StartupError where a node runs on the directories, or they cannot be used."""
    with stopped(settings) as disk:
        found = _read(disk, _raft_path(settings))
        return Copy(
            node_id=settings.node_id,
            cluster_id=found.image.cluster_id,
            term=found.last_term,
            index=found.last_index,
            voters=tuple([each.node_id for each in found.voters]),
            topics=len(found.image.topics),
            in_order=all(disk.exists(f"{path}/{CLEAN_SHUTDOWN_FILE}") for path in log_paths(settings)),
        )


async def begin(settings: Settings, *, cluster_id: str, directory_id: bytes) -> Copy:
    """Make this node the only voter of a new cluster with everything that its metadata says. What the new ids are is the caller's
    chance: 32 hexadecimal digits, and 16 bytes.

    Raises:
        ConfigurationError: the settings do not say where the node listens for Raft.
        StartupError: a node runs on the directories, or they cannot be used.
    """
    own = _own_voter(settings, directory_id)
    with stopped(settings) as disk:
        path = _raft_path(settings)
        found = _read(disk, path)
        index, term = found.last_index + 2, max(found.term, found.last_term) + 1
        voters = raft_voters.encode((own,))
        draft = Draft(found.image, RaftIndex(index))
        draft.cluster_id = cluster_id
        kafka_nodes.named(draft, cluster_id)
        image, _ = draft.freeze()
        snapshot = Snapshot(
            previous=(bytes([COMMAND_NO_OP]), index - 1, term),
            last=(bytes([COMMAND_VOTERS]) + voters, index, term),
            state=b"".join(image_snapshot.pieces(image)),
            voters=voters,
        )
        # The disk gives up its vote first, and the log directories their cluster: until the snapshot is there, a start is refused.
        disk.write_atomic(f"{path}/{raft_directory.FILE_NAME}", directory_id.hex().encode("ascii") + b"\n")
        _name_cluster(disk, settings, cluster_id)
        await _raise_term(disk, path, term)
        SnapshotStore(disk, path).install(raft_snapshot.encode(snapshot), snapshot)
    return look(settings)


def join(settings: Settings, *, cluster_id: str) -> None:
    """Let this node's logs take part in the cluster that `begin` has made: without its Raft files it follows without a vote.

    Raises:
        ConfigurationError: the settings name this node as a voter: without its Raft files it would begin a cluster with others.
        StartupError: a node runs on the directories, or they cannot be used.
    """
    if not settings.voters or any(each.node_id == settings.node_id for each in settings.voters):
        raise ConfigurationError(
            f"controller.quorum.voters must name the node that began the new cluster and not node {settings.node_id}, "
            "which gets its vote by rk cluster add-voter"
        )
    with stopped(settings) as disk:
        # In this order: with its logs alone, a node of the old cluster is refused by the new one.
        if disk.exists(path := _raft_path(settings)):
            disk.remove_tree(path)
        _name_cluster(disk, settings, cluster_id)


@contextmanager
def stopped(settings: Settings) -> Iterator[OsDisk]:
    """The disk, while nobody else uses these directories."""
    disk = OsDisk(threads=1)
    with ExitStack() as stack:
        stack.callback(disk.close)
        for path in log_paths(settings):
            if not disk.exists(f"{path}/{META_FILE}"):
                raise StartupError(f"{path} is no log directory of a node: {META_FILE} is missing")
            stack.callback(disk.lock(f"{path}/{LOCK_FILE}").release)
        if disk.exists(path := _raft_path(settings)):
            stack.callback(disk.lock(f"{path}/lock").release)
        yield disk


def log_paths(settings: Settings) -> list[str]:
    return [str(path.absolute()) for path in settings.log_dirs]


def _raft_path(settings: Settings) -> str:
    return str((settings.metadata_log_dir or settings.log_dirs[0] / "__cluster_metadata").absolute())


def _own_voter(settings: Settings, directory_id: bytes) -> RaftVoter:
    own = next((each for each in settings.voters if each.node_id == settings.node_id), settings.controller_listener)
    if own is None:
        raise ConfigurationError(
            "neither controller.quorum.voters nor controller.listener says where this node listens for Raft; "
            "a node that is a cluster by itself needs nothing but its copy"
        )
    return RaftVoter(node_id=settings.node_id, host=own.host, port=own.port, directory_id=directory_id)


def _name_cluster(disk: OsDisk, settings: Settings, cluster_id: str) -> None:
    for path in log_paths(settings):
        identity = identify(disk, path, "", settings.node_id, DirectoryId(b""))
        write_identity(disk, path, replace(identity, cluster_id=cluster_id))


async def _raise_term(disk: OsDisk, path: str, term: int) -> None:
    failures: list[BaseException] = []
    journal = Journal(disk, path, probe=PrometheusProbe(), on_durable=lambda: None, on_failure=failures.append)
    await journal.open()
    journal.set_term(term, None)
    await journal.close()
    if failures:
        raise StartupError(f"the Raft journal in {path} cannot be written: {failures[0]}")


def _read(disk: OsDisk, path: str) -> _Metadata:
    if not disk.exists(path):
        raise StartupError(f"{path} is missing: there is no metadata here")
    snapshot = SnapshotStore(disk, path).load()
    loaded = load(disk, path)
    _check_joint(path, snapshot, loaded)
    machine = MetadataStore()
    book = raft_voters.VoterBook(())
    if snapshot is not None:
        machine.restore(RaftIndex(snapshot.index), snapshot.state)
        book.restored(snapshot.index, snapshot.voters)
    newest = snapshot.last if snapshot is not None else loaded.entries[0]
    for entry in loaded.entries:
        command, index, _ = entry
        if index <= (0 if snapshot is None else snapshot.index):
            continue
        newest = entry
        book.appended(entry)
        if command[0] == COMMAND_REGULAR:
            machine.apply(RaftIndex(index), command[1:])
    if not machine.image.cluster_id:
        raise StartupError(f"the metadata in {path} belongs to no cluster yet")
    return _Metadata(
        image=machine.image, last_term=newest[2], last_index=newest[1], term=loaded.term, voters=book.current
    )


def _check_joint(path: str, snapshot: Snapshot | None, loaded: Loaded) -> None:
    """A journal without its beginning, and one that does not go on where the snapshot ends, say too little."""
    if not loaded.entries:
        raise StartupError(f"there is no Raft journal in {path}")
    first = loaded.entries[0][1]
    if first > (1 if snapshot is None else snapshot.previous[1]):
        raise StartupError(f"the Raft journal in {path} begins at entry {first}, and what was before it is missing")
