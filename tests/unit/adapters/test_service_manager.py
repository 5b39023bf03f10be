"""Messages arrive at the socket that the environment names, and nothing waits when they cannot."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raftkafka.adapters.service_manager import STATUS_CHARS_MAX, ServiceManager

OWN = os.getpid()


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


Making = Callable[..., ServiceManager | None]


@pytest.fixture
def manager() -> Iterator[Making]:
    with contextlib.ExitStack() as made:

        def make(address: str, **environment: str) -> ServiceManager | None:
            one = ServiceManager.from_environment({"NOTIFY_SOCKET": address, **environment}, process_id=OWN)
            if one is not None:
                made.callback(one.close)
            return one

        yield make


def test_variables_go_in_one_message(manager: Making, ears: socket.socket) -> None:
    to = manager(ears.getsockname())
    assert to is not None
    assert to.tell(READY="1", STATUS="two\nlines and a =")
    assert ears.recv(4096) == b"READY=1\nSTATUS=two lines and a ="


def test_an_abstract_socket(manager: Making) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # Linux chooses an abstract address
        listening.settimeout(10)
        to = manager("@" + listening.getsockname()[1:].decode())
        assert to is not None
        assert to.tell(WATCHDOG="1")
        assert listening.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/" + "x" * 107])
def test_addresses_that_are_no_local_socket(manager: Making, address: str) -> None:
    assert manager(address) is None


def test_nobody_waits_for_messages() -> None:
    assert ServiceManager.from_environment({}, process_id=OWN) is None


def test_what_could_not_be_sent_goes_with_the_next_message(manager: Making, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    to = manager(path)
    assert to is not None
    assert not to.tell(READY="1", STATUS="old")
    assert not to.tell(STATUS="new")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(10)
        assert to.tell()
        assert listening.recv(4096) == b"READY=1\nSTATUS=new"
        assert to.tell()
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.recv(4096)


def test_a_full_queue_holds_nobody_up(manager: Making, ears: socket.socket) -> None:
    to = manager(ears.getsockname())
    assert to is not None
    sent = 0
    while to.tell(WATCHDOG="1"):
        sent += 1
        assert sent < 100_000
    assert not to.tell(READY="1")
    for _ in range(sent):
        assert ears.recv(4096) == b"WATCHDOG=1"
    assert to.tell()
    assert ears.recv(4096) == b"WATCHDOG=1\nREADY=1"


def test_a_long_status_is_cut(manager: Making, ears: socket.socket) -> None:
    to = manager(ears.getsockname())
    assert to is not None
    assert to.tell(STATUS="x" * 10_000)
    assert ears.recv(20_000) == b"STATUS=" + b"x" * STATUS_CHARS_MAX


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(OWN)}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(OWN + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_who_watches(manager: Making, environment: dict[str, str], expected: float | None) -> None:
    to = manager("/run/nowhere", **environment)
    assert to is not None
    assert to.watchdog_s == expected
