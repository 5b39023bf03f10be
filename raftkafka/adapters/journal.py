"""The log of a service: records with their fields to the journal of systemd, in its native protocol.

Floor 4. A record is one datagram to `/run/systemd/journal/socket`; one that is too large goes as a sealed file in memory, as
sd_journal_send(3) does it. Where the journal does not read, the first record waits WAIT_MAX_S and the next ones not at all: they are
counted and left out, and the one that gets through says how many. So a journal that is stuck does not hold up the event loop.
Where there is no journal to talk to, lines go to stderr with the `<N>` of sd-daemon(3).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from raftkafka.broker.partition import Partition
from raftkafka.model.ids import TopicPartition

JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "raftkafka"
WAIT_MAX_S: Final = 0.05
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_EXTRAS: Final = {"topic": "RAFTKAFKA_TOPIC", "partition": "RAFTKAFKA_PARTITION", "group": "RAFTKAFKA_GROUP"}


def goes_to_journal(environment: Mapping[str, str], descriptor: int) -> bool:
    """Whether what is written to `descriptor` ends in the journal: `$JOURNAL_STREAM` names its device and inode."""
    device, colon, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    if not colon:
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


class JournalHandler(logging.Handler):
    """`node_id` is added to every record, once it is known."""

    def __init__(self, *, path: str = JOURNAL_SOCKET, fallback: TextIO | None = None) -> None:
        super().__init__()
        self.node_id: int | None = None
        self._path = path
        self._fallback = fallback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(WAIT_MAX_S * 1e6)))
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send_or_print(record)
        except Exception:  # noqa: BLE001 - as every handler of logging: a bad log call must not end what it reports of
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _send_or_print(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        if self._left_out:
            message += f" (and {self._left_out} records before this one, which the journal did not take in time)"
        datagram = b"".join(_fields(_of(record, message, self.node_id)))
        try:
            self._send(datagram)
        except BlockingIOError:
            self._left_out += 1
        except OSError:
            # No journal any more, or not yet again.
            self._print(record, message)
        else:
            self._left_out = 0

    @property
    def _flags(self) -> int:
        return socket.MSG_DONTWAIT if self._left_out else 0

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, self._flags, self._path)
        except OSError as error:
            if isinstance(error, BlockingIOError) or error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_as_file(datagram)

    def _send_as_file(self, datagram: bytes) -> None:
        file = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            left = memoryview(datagram)
            while left:
                left = left[os.write(file, left) :]
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))]
            self._socket.sendmsg([], rights, self._flags, self._path)
        finally:
            os.close(file)

    def _print(self, record: logging.LogRecord, message: str) -> None:
        stream = self._fallback if self._fallback is not None else sys.stderr
        level = priority(record.levelno)
        for line in message.splitlines():
            stream.write(f"<{level}>{record.name} {line}\n")
        stream.flush()


def priority(level: int) -> int:
    """syslog's number for a level of `logging`."""
    if level >= logging.CRITICAL:
        return 2
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


def _of(record: logging.LogRecord, message: str, node_id: int | None) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", message
    yield "PRIORITY", str(priority(record.levelno))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "LOGGER", record.name
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", str(record.lineno)
    yield "CODE_FUNC", record.funcName or ""
    if node_id is not None:
        yield "RAFTKAFKA_NODE", str(node_id)
    yield from _places(record)


def _places(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    """What a record is about: the partitions among its arguments, and what was given as `extra`."""
    for argument in record.args if isinstance(record.args, tuple) else ():
        if isinstance(argument, Partition):
            yield "RAFTKAFKA_TOPIC", argument.topic
            argument = argument.topic_partition  # noqa: PLW2901
        if isinstance(argument, TopicPartition):
            yield "RAFTKAFKA_TOPIC_ID", argument.topic_id.hex()
            yield "RAFTKAFKA_PARTITION", str(argument.partition)
    for name, field in _EXTRAS.items():
        if name in record.__dict__:
            yield field, str(record.__dict__[name])


def _fields(fields: Iterator[tuple[str, str]]) -> Iterator[bytes]:
    """A value with a line feed in it goes with its length, so that no value can pass for another field."""
    for name, value in fields:
        content = value.encode("utf-8", "backslashreplace")
        if b"\n" in content:
            yield b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(content)), content)
        else:
            yield b"%b=%b\n" % (name.encode(), content)
