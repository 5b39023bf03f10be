"""The disk without syncs keeps what the port promises beside them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raftkafka.model.errors import StorageError
from raftkafka.testing.disk import UnsyncedDisk


@pytest.fixture
def disk():
    made = UnsyncedDisk()
    yield made
    made.close()


@pytest.mark.parametrize("how", ["write_atomic", "replace"])
async def test_the_old_file_or_the_new_one(disk: UnsyncedDisk, tmp_path: Path, how: str) -> None:
    path = tmp_path / "f"
    for content in (b"a long first content", b"new"):
        if how == "replace":
            await disk.replace(str(path), content)
        else:
            disk.write_atomic(str(path), content)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["f"]
    with pytest.raises(StorageError, match="cannot open"):
        disk.write_atomic(str(tmp_path / "missing" / "f"), b"x")


async def test_a_sync_is_done_at_once_and_takes_no_thread(disk: UnsyncedDisk, tmp_path: Path) -> None:
    before = threading.active_count()
    file = disk.open(str(tmp_path / "f"), create=True)
    file.append([b"x"])
    sync = disk.sync([file])
    assert sync.done()
    await sync
    disk.sync_dir(str(tmp_path))
    await disk.sync_names(str(tmp_path))
    assert threading.active_count() == before
    file.close()
