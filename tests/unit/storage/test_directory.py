"""Whose directory it is, and what was found in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import StartupError, StorageError
from raftkafka.model.ids import TopicPartition
from raftkafka.storage.directory import LogDirectory, decode_topic_id, encode_topic_id

OLD, NEW = bytes(16), bytes(range(16))
UNIQUE = b"\xab" * 16


def open_directory(disk, *, broker_id=1, cluster_id="c1", fresh=b"d" * 16, unsynced=False):
    return LogDirectory.open(
        disk,
        "/data",
        cluster_id=cluster_id,
        broker_id=broker_id,
        new_directory_id=fresh,
        acknowledges_unsynced=unsynced,
    )


def test_a_new_directory_gets_an_identity_and_keeps_it(disk):
    first = open_directory(disk)
    assert not first.was_clean
    first.close()
    disk.crash()
    second = open_directory(disk, fresh=b"e" * 16)
    assert second.identity == first.identity
    assert second.identity.directory_id == b"d" * 16


def test_another_brokers_directory_is_refused_with_both_ids_and_the_path(disk):
    open_directory(disk, broker_id=1).close()
    with pytest.raises(StartupError, match=r"/data belongs to broker 1, this is broker 2"):
        open_directory(disk, broker_id=2)
    open_directory(disk, broker_id=1)  # the refusal has let go of the lock


def test_another_clusters_directory_is_refused(disk):
    open_directory(disk).close()
    with pytest.raises(StartupError, match=r"cluster c1.*cluster c2"):
        open_directory(disk, cluster_id="c2")


def test_a_cluster_id_may_be_learnt_later(disk):
    open_directory(disk, cluster_id="").close()
    open_directory(disk, cluster_id="c9").close()
    assert open_directory(disk, cluster_id="").identity.cluster_id == "c9"


def test_a_damaged_identity_is_refused(disk):
    open_directory(disk).close()
    disk.flip("/data/meta.properties", 8)
    with pytest.raises(StartupError, match=r"meta\.properties is damaged"):
        open_directory(disk)


def test_two_processes_cannot_share_it(disk):
    open_directory(disk)
    with pytest.raises(StartupError, match="in use"):
        open_directory(disk)


def test_the_clean_mark_counts_once(disk):
    directory = open_directory(disk)
    directory.mark_clean(42)
    directory.close()
    directory = open_directory(disk)
    assert (directory.was_clean, directory.previous_broker_epoch) == (True, 42)
    directory.close()
    disk.crash()
    directory = open_directory(disk)
    assert (directory.was_clean, directory.previous_broker_epoch) == (False, -1)


def test_what_was_acknowledged_unsynced_is_in_doubt_until_an_orderly_stop(disk):
    def restarted(*, unsynced: bool, clean: bool) -> bool:
        directory = open_directory(disk, unsynced=unsynced)
        if clean:
            directory.mark_clean(1)
        directory.close()
        if not clean:
            disk.crash()
        return directory.was_synced

    assert restarted(unsynced=False, clean=False)
    assert restarted(unsynced=True, clean=False)
    # The policy of now says nothing of what was acknowledged under the one before.
    assert not restarted(unsynced=False, clean=False)
    assert not restarted(unsynced=False, clean=True)
    assert restarted(unsynced=True, clean=True)
    assert restarted(unsynced=False, clean=False)
    assert restarted(unsynced=False, clean=False)


def test_a_damaged_clean_mark_is_no_mark(disk):
    directory = open_directory(disk)
    directory.mark_clean(42)
    directory.close()
    disk.flip("/data/.kafka_cleanshutdown", 3)
    assert not open_directory(disk).was_clean


async def test_partitions_are_found_again_after_a_crash(disk):
    directory = open_directory(disk)
    path = await directory.create("my-topic-1", TopicPartition(NEW, 7))
    assert path == "/data/my-topic-1-7"
    directory.close()
    disk.crash()
    (found,) = open_directory(disk).discover()
    assert (found.topic, found.topic_partition, found.path) == ("my-topic-1", (NEW, 7), path)


async def test_creating_again_is_fine_and_a_stray_of_the_same_name_is_moved_away(disk):
    directory = open_directory(disk)
    path = await directory.create("t", TopicPartition(OLD, 0))
    disk.open(f"{path}/keep", create=True)
    assert await directory.create("t", TopicPartition(OLD, 0)) == path
    assert disk.exists(f"{path}/keep")
    await directory.create("t", TopicPartition(NEW, 0))
    assert disk.list_dir(path) == ["partition.metadata"]
    assert disk.exists("/data/t-0.0-stray/keep")
    assert [found.topic_partition.topic_id for found in directory.discover()] == [NEW]


async def test_deletion_survives_a_crash_at_any_step(disk):
    directory = open_directory(disk)
    path = await directory.create("t", TopicPartition(NEW, 0))
    directory.delete(path, unique=UNIQUE)
    assert not disk.exists(path)
    disk.crash()
    directory = open_directory(disk)
    assert directory.discover() == []
    assert not [name for name in disk.list_dir("/data") if name.endswith("-delete")]


def test_a_directory_without_a_topic_id_is_set_aside(disk):
    directory = open_directory(disk)
    disk.make_dir("/data/t-0")
    disk.open("/data/t-0/partition.metadata", create=True).append([b"version: 0\ntopic_id: xyz\n"])
    disk.make_dir("/data/lost+found")
    assert directory.discover() == []
    assert disk.exists("/data/t-0.0-stray")


@pytest.mark.parametrize("topic", ["..", "a/b", "", "x" * 250, "a\0b"])
def test_a_topic_name_never_becomes_another_path(disk, topic):
    with pytest.raises(StorageError):
        open_directory(disk).partition_path(topic, 0)


@given(st.binary(min_size=16, max_size=16))
def test_topic_ids_round_trip_as_kafkas_text(topic_id):
    text = encode_topic_id(topic_id)
    assert len(text) == 22
    assert decode_topic_id(text) == topic_id


@pytest.mark.parametrize("text", ["", "abc", "A" * 21, "A" * 23, "!" * 22, "é" * 22])
def test_other_texts_are_no_topic_id(text):
    assert decode_topic_id(text) is None


async def test_what_a_dead_process_left_unsynced_is_synced_by_the_next(disk):
    """It lies in the cache and looks finished; records are about to be acknowledged upon it."""
    key = TopicPartition(NEW, 0)
    first = open_directory(disk)
    disk.sync_error = StorageError("the process died here")
    with pytest.raises(StorageError):
        await first.create("orders", key)
    first.close()
    disk.sync_error = None
    second = open_directory(disk)
    await second.create("orders", key)
    second.close()
    disk.crash()
    assert [found.topic_partition for found in open_directory(disk).discover()] == [key]
