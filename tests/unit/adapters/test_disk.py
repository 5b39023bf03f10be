"""The real disk: what the port promises, on a real file system."""

import asyncio
import errno
import os
import resource
import stat
import threading

import pytest

from raftkafka.adapters import disk as module
from raftkafka.adapters.clock import SystemClock
from raftkafka.adapters.disk import OsDisk
from raftkafka.model.errors import DiskFullError, StartupError, StorageError, SyncFailedError


@pytest.fixture
def disk():
    disk = OsDisk()
    yield disk
    disk.close()


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def test_appends_add_up_and_are_read_back(disk, root):
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    file.append([b"de", bytearray(b"fg"), memoryview(b"h")])
    assert file.size == 8
    assert file.read(2, 4) == b"cdef"
    assert file.read(6, 100) == b"gh"
    assert bytes(file.read_cached(2, 4)) == b"cdef"
    assert bytes(file.read_cached(6, 100)) == b"gh"
    assert bytes(file.read_cached(8, 1)) == b""
    file.close()
    again = disk.open(f"{root}/f")
    assert again.size == 8
    again.append([b"i"])
    assert again.read(0, 9) == b"abcdefghi"
    again.close()


def test_truncation_then_append(disk, root):
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abcdef"])
    file.truncate(2)
    file.append([b"X"])
    assert (file.size, file.read(0, 10)) == (3, b"abX")
    file.close()


def test_preallocated_space_does_not_count(disk, root):
    file = disk.open(f"{root}/f", create=True)
    file.preallocate(1 << 20)
    file.append([b"abc"])
    assert file.size == disk.file_size(f"{root}/f") == 3
    assert disk.open(f"{root}/f").size == 3
    file.truncate(3)
    file.close()


def test_without_nowait_reads_still_answer(disk, root):
    disk.nowait_works = False
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    assert bytes(file.read_cached(1, 5)) == b"bc"
    file.close()


def test_what_is_not_in_the_page_cache_is_read_cold(disk, root, monkeypatch):
    def not_there(*_):
        raise BlockingIOError

    monkeypatch.setattr(module.os, "preadv", not_there)
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    assert file.read_cached(0, 3) is None
    assert asyncio.run(disk.read_cold(file, 0, 3)) == b"abc"
    file.close()


def test_modes_are_private(disk, root):
    disk.make_dir(f"{root}/a/b")
    disk.open(f"{root}/a/b/f", create=True).close()
    disk.write_atomic(f"{root}/a/b/g", b"x")
    disk.lock(f"{root}/a/b/l").release()
    for name, mode in (("a", 0o700), ("a/b", 0o700), ("a/b/f", 0o600), ("a/b/g", 0o600), ("a/b/l", 0o600)):
        assert stat.S_IMODE(os.stat(f"{root}/{name}").st_mode) == mode


def test_symbolic_links_are_refused(disk, root):
    disk.open(f"{root}/target", create=True).close()
    disk.make_dir(f"{root}/dir")
    os.symlink(f"{root}/target", f"{root}/link")
    os.symlink(f"{root}/nowhere", f"{root}/dangling")
    os.symlink(f"{root}/dir", f"{root}/dirlink")
    for name in ("link", "dangling"):
        for call in (
            lambda name=name: disk.open(f"{root}/{name}", create=True),
            lambda name=name: disk.read_file(f"{root}/{name}"),
            lambda name=name: disk.lock(f"{root}/{name}"),
        ):
            with pytest.raises(StorageError):
                call()
    assert not os.path.exists(f"{root}/nowhere")
    with pytest.raises(StorageError):
        disk.make_dir(f"{root}/dirlink")
    with pytest.raises(StorageError):
        disk.sync_dir(f"{root}/dirlink")


def test_a_planted_link_does_not_catch_an_atomic_write(disk, root):
    disk.write_atomic(f"{root}/victim", b"old")
    os.symlink(f"{root}/victim", f"{root}/f.tmp")
    disk.write_atomic(f"{root}/f", b"new")
    assert disk.read_file(f"{root}/victim") == b"old"
    assert disk.read_file(f"{root}/f") == b"new"
    assert disk.list_dir(root) == ["f", "victim"]


async def test_a_replaced_file_is_whole_and_a_planted_link_is_not_followed(disk, root):
    disk.write_atomic(f"{root}/victim", b"old")
    os.symlink(f"{root}/victim", f"{root}/f.new")
    await disk.replace(f"{root}/f", b"one")
    await disk.replace(f"{root}/f", b"two")
    assert disk.read_file(f"{root}/victim") == b"old"
    assert disk.read_file(f"{root}/f") == b"two"
    assert disk.list_dir(root) == ["f", "victim"]
    assert os.stat(f"{root}/f").st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_replaced_says_so(disk, root):
    with pytest.raises(StorageError, match="nowhere"):
        await disk.replace(f"{root}/nowhere/f", b"one")


def test_a_device_or_pipe_is_no_file(disk, root):
    with pytest.raises(StorageError):
        disk.open("/dev/null")
    with pytest.raises(StorageError):
        disk.open(root)


def test_a_lock_keeps_others_out_until_released(disk, root):
    lock = disk.lock(f"{root}/.lock")
    with pytest.raises(StartupError, match="in use"):
        OsDisk().lock(f"{root}/.lock")
    lock.release()
    lock.release()
    OsDisk().lock(f"{root}/.lock").release()


def test_names_move_and_go(disk, root):
    disk.make_dir(f"{root}/d/e")
    disk.open(f"{root}/d/f", create=True).close()
    disk.rename(f"{root}/d/f", f"{root}/d/g")
    assert disk.list_dir(f"{root}/d") == ["e", "g"]
    disk.remove(f"{root}/d/g")
    disk.remove(f"{root}/d/g")
    disk.remove_tree(f"{root}/d")
    disk.remove_tree(f"{root}/d")
    assert not disk.exists(f"{root}/d")
    assert disk.free_bytes(root) > 0
    for call in (disk.list_dir, disk.file_size, disk.read_file, disk.open, disk.sync_dir, disk.free_bytes):
        with pytest.raises(StorageError):
            call(f"{root}/nothing")


def test_a_partial_write_is_cut_off_again(disk, root, monkeypatch):
    """A filling disk takes a part, then refuses."""
    file = disk.open(f"{root}/f", create=True)
    file.append([b"kept"])
    write, calls = os.write, []

    def filling(fd, data):
        calls.append(len(data))
        if len(calls) == 1:
            return write(fd, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", filling)
    with pytest.raises(DiskFullError, match="No space left"):
        file.append([b"refused"])
    monkeypatch.undo()
    assert (file.size, disk.file_size(f"{root}/f")) == (4, 4)
    file.append([b"!"])
    assert file.read(0, 10) == b"kept!"
    file.close()


def test_a_short_write_is_carried_on(disk, root, monkeypatch):
    file = disk.open(f"{root}/f", create=True)
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda fd, data: write(fd, bytes(data)[:2]))
    file.append([b"abcdefg"])
    assert file.read(0, 10) == b"abcdefg"
    file.close()


def test_a_failing_device_is_a_storage_error(disk, root, monkeypatch):
    file = disk.open(f"{root}/f", create=True)

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "write", failing)
    with pytest.raises(StorageError, match="Input/output error") as raised:
        file.append([b"x"])
    assert not isinstance(raised.value, DiskFullError)
    monkeypatch.setattr(module.os, "fdatasync", failing)
    with pytest.raises(SyncFailedError, match="cannot sync"):
        asyncio.run(sync(disk, file))
    file.close()


def test_a_sync_that_meets_a_full_disk_has_failed(disk, root, monkeypatch):
    """Whoever waits for space and tries again would take it for done."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    file = disk.open(f"{root}/f", create=True)
    monkeypatch.setattr(module.os, "fdatasync", full)
    with pytest.raises(SyncFailedError):
        asyncio.run(sync(disk, file))
    file.close()
    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(SyncFailedError):
        disk.sync_dir(root)


async def test_a_file_that_somebody_removed_cannot_be_synced(disk, root):
    """Its bytes reach the device, and nobody will ever find them there."""
    file = disk.open(f"{root}/file", create=True)
    file.append([b"abc"])
    os.unlink(f"{root}/file")
    with pytest.raises(SyncFailedError, match="it was removed"):
        await disk.sync([file])


async def test_a_file_that_we_remove_while_it_is_synced_is_no_failure(disk, root, monkeypatch):
    syncing, removed = threading.Event(), threading.Event()
    monkeypatch.setattr(module.os, "fdatasync", lambda fd: (syncing.set(), removed.wait(10)))
    file = disk.open(f"{root}/file", create=True)
    sync = asyncio.ensure_future(disk.sync([file]))
    while not syncing.is_set():
        await asyncio.sleep(0.001)
    file.close()
    disk.remove(file.path)
    removed.set()
    await sync


async def test_a_sync_covers_files_and_new_names(disk, root, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(module.os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    disk.make_dir(f"{root}/a/b")
    first = disk.open(f"{root}/a/b/f", create=True)
    first.append([b"x"])
    await disk.sync([first])
    assert set(synced) == {f"{root}/a/b", f"{root}/a", root}
    synced.clear()
    await disk.sync([first])
    assert synced == []
    second = disk.open(f"{root}/a/b/g", create=True)
    await disk.sync([first, second])
    assert synced == [f"{root}/a/b"]
    first.close()
    second.close()
    await disk.sync([first, second])


async def test_a_file_closed_under_a_reader_stays_open_until_it_is_done(disk, root):
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    reading = asyncio.ensure_future(disk.read_cold(file, 0, 3))
    syncing = asyncio.ensure_future(disk.sync([file]))
    await asyncio.sleep(0)
    file.close()
    other = disk.open(f"{root}/g", create=True)
    other.append([b"xyz"])
    assert await reading == b"abc"
    await syncing
    other.close()
    with pytest.raises(StorageError, match="closed"):
        await disk.read_cold(file, 0, 3)


async def sync(disk, file):
    await disk.sync([file])


async def test_a_cancelled_sync_lets_the_thread_finish_first(disk, root):
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    task = asyncio.ensure_future(sync(disk, file))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    file.close()
    await disk.sync([file])


async def test_a_sync_that_has_ended_can_be_awaited_still(disk, root):
    file = disk.open(f"{root}/f", create=True)
    begun = disk.sync([file])
    await asyncio.wait([begun])
    await begun
    file.close()


async def test_a_failed_sync_is_told_even_to_a_cancelled_caller(disk, root, monkeypatch):
    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "fdatasync", failing)
    file = disk.open(f"{root}/f", create=True)
    task = asyncio.ensure_future(sync(disk, file))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(StorageError, match="cannot sync"):
        await task
    file.close()


def test_a_tree_goes_without_following_links(disk, root, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_OFF_LOOP_BYTES", 1)
    disk.make_dir(f"{root}/tree/sub")
    disk.open(f"{root}/kept", create=True).close()
    os.symlink(f"{root}/kept", f"{root}/tree/link")
    disk.write_atomic(f"{root}/tree/sub/f", b"abc")
    os.symlink(f"{root}/tree", f"{root}/way")
    with pytest.raises(StorageError):
        disk.remove_tree(f"{root}/way")
    disk.remove_tree(f"{root}/tree")
    assert disk.list_dir(root) == ["kept", "way"]


def test_a_large_removed_file_gives_its_descriptor_back(root, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_OFF_LOOP_BYTES", 1)
    before = len(os.listdir("/proc/self/fd"))
    disk = OsDisk()
    file = disk.open(f"{root}/f", create=True)
    file.append([b"abc"])
    disk.remove(f"{root}/f")
    file.close()
    file.close()
    disk.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_size_limit_of_the_process_is_a_storage_error(disk, root):
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = disk.open(f"{root}/f", create=True)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        with pytest.raises(StorageError):
            file.append([b"x" * 20])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (file.size, disk.file_size(f"{root}/f")) == (0, 0)
    file.close()


def test_the_clock_tells_milliseconds():
    first = SystemClock().now_ms()
    assert isinstance(first, int)
    assert first > 1_600_000_000_000


def test_dropping_the_cache_changes_nothing_that_is_on_the_device(tmp_path):
    disk = OsDisk()
    path = str(tmp_path / "file")
    disk.write_atomic(path, b"content")
    disk.drop_cached(path)
    assert disk.read_file(path) == b"content"
    disk.drop_cached(str(tmp_path / "missing"))
    disk.close()
