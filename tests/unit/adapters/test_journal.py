"""Records reach the journal with their fields, whatever is in them; a journal that is slow or away holds nobody up."""

from __future__ import annotations

import array
import io
import logging
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftkafka.adapters.journal import JournalHandler, goes_to_journal, priority
from raftkafka.broker.partition import Partition
from raftkafka.model.ids import PartitionIndex, TopicId, TopicPartition

TOPIC_ID = TopicId(bytes(range(16)))


class Journal:
    """The other end: reads datagrams as systemd's journal does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def entry(self) -> dict[str, str]:
        return fields(self._content())

    def _content(self) -> bytes:
        content, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        if not ancillary:
            return content
        assert content == b""
        [(_, _, rights)] = ancillary
        [file] = array.array("i", rights)
        with os.fdopen(file, "rb") as sealed:
            with pytest.raises(PermissionError):
                os.ftruncate(file, 0)
            sealed.seek(0)
            return sealed.read()


def fields(content: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while content:
        line, _, rest = content.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            name, (size,) = line, struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
        content = rest
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    listening = Journal(tmp_path / "journal")
    yield listening
    listening.socket.close()


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[JournalHandler]:
    made = JournalHandler(path=str(tmp_path / "journal"), fallback=io.StringIO())
    made.node_id = 2
    yield made
    made.close()


@pytest.fixture
def log(handler: JournalHandler) -> logging.Logger:
    logger = logging.Logger("raftkafka.test", logging.DEBUG)  # noqa: LOG001 - one of its own, which ends with the test
    logger.addHandler(handler)
    return logger


def partition() -> Partition:
    made = Partition.__new__(Partition)
    made.topic = "orders"
    made.topic_partition = TopicPartition(TOPIC_ID, PartitionIndex(7))
    return made


def test_fields_of_a_record(journal: Journal, log: logging.Logger) -> None:
    log.warning("%s: cannot follow: %s", partition(), "a reason")
    entry = journal.entry()
    assert entry.pop("CODE_FILE").endswith("test_journal.py")
    assert int(entry.pop("CODE_LINE")) > 0
    assert entry == {
        "MESSAGE": "orders-7: cannot follow: a reason",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "raftkafka",
        "LOGGER": "raftkafka.test",
        "CODE_FUNC": "test_fields_of_a_record",
        "RAFTKAFKA_NODE": "2",
        "RAFTKAFKA_TOPIC": "orders",
        "RAFTKAFKA_TOPIC_ID": TOPIC_ID.hex(),
        "RAFTKAFKA_PARTITION": "7",
    }


def test_fields_that_the_caller_gives(journal: Journal, log: logging.Logger) -> None:
    log.info("gone", extra={"topic": "orders", "partition": 3, "group": "g"})
    entry = journal.entry()
    assert (entry["RAFTKAFKA_TOPIC"], entry["RAFTKAFKA_PARTITION"], entry["RAFTKAFKA_GROUP"]) == ("orders", "3", "g")


def test_a_key_alone_gives_what_it_knows(journal: Journal, log: logging.Logger) -> None:
    log.info("%s is gone", TopicPartition(TOPIC_ID, PartitionIndex(3)))
    entry = journal.entry()
    assert (entry["RAFTKAFKA_TOPIC_ID"], entry["RAFTKAFKA_PARTITION"]) == (TOPIC_ID.hex(), "3")
    assert "RAFTKAFKA_TOPIC" not in entry


def test_no_value_passes_for_another_field(journal: Journal, log: logging.Logger) -> None:
    log.info("%s", "a name\nPRIORITY=0\nRAFTKAFKA_NODE=9")
    entry = journal.entry()
    assert entry["MESSAGE"] == "a name\nPRIORITY=0\nRAFTKAFKA_NODE=9"
    assert (entry["PRIORITY"], entry["RAFTKAFKA_NODE"]) == ("6", "2")


def test_bytes_that_are_no_text(journal: Journal, log: logging.Logger) -> None:
    log.info("a file %s", os.fsdecode(b"\xff"))
    assert journal.entry()["MESSAGE"] == "a file \\udcff"


def test_a_traceback_is_part_of_the_message(journal: Journal, log: logging.Logger) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("it failed")
    entry = journal.entry()
    assert entry["MESSAGE"].startswith("it failed\nTraceback")
    assert entry["MESSAGE"].endswith("ValueError: why")
    assert entry["PRIORITY"] == "3"


@pytest.mark.parametrize("size", [300_000, 5_000_000])
def test_a_large_record_goes_as_a_sealed_file(journal: Journal, log: logging.Logger, size: int) -> None:
    log.info("%s", "x" * size)
    assert journal.entry()["MESSAGE"] == "x" * size


def test_a_journal_that_does_not_read_costs_records_and_no_time(journal: Journal, log: logging.Logger) -> None:
    for number in range(3_000):
        log.info("record %d", number)
    got = [journal.entry()["MESSAGE"]]
    journal.socket.setblocking(False)
    try:
        while True:
            got.append(journal.entry()["MESSAGE"])
    except BlockingIOError:
        assert len(got) < 3_000
    assert got == [f"record {number}" for number in range(len(got))]
    log.info("at last")
    left_out = 3_000 - len(got)
    assert journal.entry()["MESSAGE"] == (
        f"at last (and {left_out} records before this one, which the journal did not take in time)"
    )
    log.info("as before")
    assert journal.entry()["MESSAGE"] == "as before"


def test_only_the_first_record_waits(journal: Journal, log: logging.Logger) -> None:
    for number in range(3_000):
        log.info("record %d", number)
    began = time.thread_time()
    on_the_wall = time.monotonic()
    for number in range(200):
        log.info("record %d", number)
    # 200 waits of 50 ms would be 10 s; what these cost is their own work.
    assert time.monotonic() - on_the_wall < 5 + (time.thread_time() - began)


def test_without_a_journal_lines_go_to_stderr_with_their_priority(handler: JournalHandler, log: logging.Logger) -> None:
    log.error("two\nlines")
    log.info("one")
    assert isinstance(handler._fallback, io.StringIO)
    assert handler._fallback.getvalue() == "<3>raftkafka.test two\n<3>raftkafka.test lines\n<6>raftkafka.test one\n"


def test_a_journal_that_comes_back(tmp_path: Path, log: logging.Logger) -> None:
    first = Journal(tmp_path / "journal")
    log.info("one")
    assert first.entry()["MESSAGE"] == "one"
    first.socket.close()
    log.info("two")
    (tmp_path / "journal").unlink()
    second = Journal(tmp_path / "journal")
    log.info("three")
    assert second.entry()["MESSAGE"] == "three"
    second.socket.close()


def test_priorities_are_those_of_syslog() -> None:
    levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
    assert [priority(level) for level in levels] == [7, 6, 4, 3, 2]


def test_only_a_stream_to_the_journal_means_the_journal(tmp_path: Path) -> None:
    with open(tmp_path / "stderr", "wb") as file:
        status = os.fstat(file.fileno())
        assert goes_to_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, file.fileno())
        # What a parent was given, and then sent its children's output elsewhere.
        assert not goes_to_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, file.fileno())
        assert not goes_to_journal({"JOURNAL_STREAM": "nonsense"}, file.fileno())
        assert not goes_to_journal({}, file.fileno())
    closed = os.dup(0)
    os.close(closed)
    assert not goes_to_journal({"JOURNAL_STREAM": "1:2"}, closed)
