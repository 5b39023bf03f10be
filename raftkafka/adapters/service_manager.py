"""What a service tells the program that started it: datagrams to `$NOTIFY_SOCKET`, the protocol of sd_notify(3).

Floor 4. Nothing here ever waits: what cannot be sent is kept, the newest value of each variable, and goes with the next
message. So a service manager that is slow, or that starts anew, never holds up the event loop.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final, Self

STATUS_CHARS_MAX: Final = 400
"""systemd reads 4096 bytes of a message and drops what is longer."""
_PATH_BYTES_MAX: Final = 107
"""What `sun_path` holds."""


class ServiceManager:
    """`watchdog_s`: how long the service may be silent before it is started anew; None where nobody watches."""

    def __init__(self, address: str, *, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        self._address = _socket_address(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._unsent: dict[str, str] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, process_id: int) -> Self | None:
        """None where nobody waits for messages, or where they would go to something that is not a local socket."""
        address = environment.get("NOTIFY_SOCKET", "")
        if address[:1] not in {"/", "@"} or len(os.fsencode(address)) > _PATH_BYTES_MAX:
            return None
        return cls(address, watchdog_s=_watchdog_s(environment, process_id))

    def tell(self, **variables: str) -> bool:
        """Send `KEY=value` for each, and what could not be sent before; False when it has to wait for the next call."""
        self._unsent.update({key: _one_line(value) for key, value in variables.items()})
        if not self._unsent:
            return True
        message = "\n".join([f"{key}={value}" for key, value in self._unsent.items()])
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            # Full, or nobody there for the moment: systemd that executes itself again comes back to the same socket.
            return False
        self._unsent.clear()
        return True

    def close(self) -> None:
        self._socket.close()


def _socket_address(address: str) -> bytes:
    """Abstract sockets are written with an @ where the address has a zero byte."""
    encoded = os.fsencode(address)
    return b"\0" + encoded[1:] if encoded.startswith(b"@") else encoded


def _watchdog_s(environment: Mapping[str, str], process_id: int) -> float | None:
    """As sd_watchdog_enabled(3) reads it: the variables of a parent are none of ours."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    wanted = environment.get("WATCHDOG_PID", str(process_id))
    if not microseconds.isascii() or not microseconds.isdigit() or wanted != str(process_id):
        return None
    return int(microseconds) / 1e6 or None


def _one_line(value: str) -> str:
    return " ".join(value.split())[:STATUS_CHARS_MAX]
