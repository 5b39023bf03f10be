"""Hosts of a cluster as network namespaces on a switch of their own: packets between them can be dropped.

Nothing is added to the machine's own network and no route leads out. Packets are dropped where they arrive, so that a sender
meets silence, as with a cut cable, on connections that exist as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

CLONE_NEWNET: Final = 0x40000000
_CLIENTS: Final = 9
"""The last number of the clients' address."""


class Hosts:
    """`nodes` hosts, numbered from 1, and one for the clients."""

    def __init__(self, nodes: int) -> None:
        self._prefix = f"rk{os.getpid()}"
        self._numbers = [*range(1, nodes + 1), _CLIENTS]
        self.nodes = list(range(1, nodes + 1))
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def address(number: int) -> str:
        return f"10.99.7.{number}"

    def prefix(self, number: int) -> list[str]:
        """What goes before a command that is to run on this host.

        `ip netns exec` would give it mounts of its own as well, and with them it would hold on to every disk of other tests.
        """
        return ["nsenter", f"--net=/run/netns/{self._name(number)}"]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and every thread and process that it starts, is on the host of the clients."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path: str) -> None:
            with open(path) as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns {path}")

        with open("/proc/thread-self/ns/net") as home:
            enter(f"/run/netns/{self._name(_CLIENTS)}")
            try:
                yield
            finally:
                enter(f"/proc/self/fd/{home.fileno()}")

    def one_way(self, source: int, target: int) -> None:
        """Packets from `source` to `target` vanish."""
        self._in(target, "nft", "add", "rule", "inet", "fault", "in", "ip", "saddr", self.address(source), "drop")

    def cut(self, one: int, other: int) -> None:
        self.one_way(one, other)
        self.one_way(other, one)

    def isolate(self, number: int, *, from_clients: bool) -> None:
        for other in self._numbers:
            if other != number and (from_clients or other != _CLIENTS):
                self.cut(number, other)

    def cut_clients(self, number: int) -> None:
        self.cut(number, _CLIENTS)

    def heal(self) -> None:
        for number in self._numbers:
            self._in(number, "nft", "flush", "chain", "inet", "fault", "in")

    def close(self) -> None:
        for name in [self._switch, *map(self._name, self._numbers)]:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=60)

    @property
    def _switch(self) -> str:
        return f"{self._prefix}-switch"

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def _build(self) -> None:
        switch = self._switch
        _run("ip", "netns", "add", switch)
        _run("ip", "-n", switch, "link", "add", "bridge0", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge0", "up")
        for number in self._numbers:
            name, port = self._name(number), f"port{number}"
            _run("ip", "netns", "add", name)
            _run("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", switch)
            _run("ip", "-n", switch, "link", "set", port, "master", "bridge0")
            _run("ip", "-n", switch, "link", "set", port, "up")
            _run("ip", "-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
            self._in(number, "nft", "add", "table", "inet", "fault")
            hook = "{ type filter hook input priority -300 ; policy accept ; }"
            self._in(number, "nft", f"add chain inet fault in {hook}")

    def _in(self, number: int, *command: str) -> None:
        _run(*self.prefix(number), *command)


def why_no_hosts() -> str | None:
    """Why this machine cannot do it, None when it can; found out by trying."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is missing (packages iproute2, nftables, util-linux)"
    try:
        Hosts(1).close()
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", b"") or b""
        return f"no network namespaces can be made here: {error} {detail.decode(errors='replace').strip()}"
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
