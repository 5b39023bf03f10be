"""A machine with a real systemd: PID 1 of its own namespaces, over a copy of this machine's files that is gone with it.

The root file system is an overlay over `/`, its upper layer in memory, so the Python of this machine is there and nothing
inside can change anything outside. Units that this machine has enabled are not: it boots to a bare multi-user target. Its network is
a loopback of its own. Needs root, and the Debian packages systemd, systemd-sysv, systemd-container and dbus.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PATIENCE_S: Final = 120.0
"""A deadline for what takes some seconds on an idle machine: only a hang may meet it."""
POLL_S: Final = 0.1
UPPER_BYTES: Final = 2 << 30
REBOOTED: Final = 133
"""How systemd-nspawn with --keep-unit says that the machine wants to be started again."""
ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
_MASKED: Final = (
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "getty.target",
    "console-getty.service",
)
_PACKAGES: Final = {
    "systemd-nspawn": "systemd-container",
    "systemctl": "systemd",
    "dbus-daemon": "dbus",
    "nsenter": "util-linux",
    "mount": "mount",
}


def why_no_machine() -> str | None:
    """What is missing for a machine here, for whoever wants to run these tests; None where nothing is."""
    if os.geteuid() != 0:
        return "needs root: mounts, namespaces"
    missing = {package for tool, package in _PACKAGES.items() if shutil.which(tool) is None}
    if not Path("/sbin/init").exists():
        missing.add("systemd-sysv")
    if missing:
        return f"needs the packages {', '.join(sorted(missing))}"
    return None


class MachineError(Exception):
    """The machine did not do what it was told."""


class Machine:
    """`with Machine() as machine`: it has booted; it is gone at the end."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="raftkafka-machine-", dir="/run"))
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._ends = contextlib.ExitStack()
        self.root = self._directory / "root"
        self.console = self._directory / "console.log"

    def __enter__(self) -> Self:
        try:
            self._mount()
            self._furnish()
            self.boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # Life

    def boot(self) -> None:
        """Start it, and wait until systemd has started everything that is wanted."""
        assert self._nspawn is None
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                [
                    "systemd-nspawn",
                    "--quiet",
                    f"--directory={self.root}",
                    f"--machine=raftkafka-{os.getpid()}",
                    "--boot",
                    # Nobody outside to register with: this machine's own PID 1 may be anything.
                    "--register=no",
                    "--keep-unit",
                    "--private-network",
                    "--resolv-conf=off",
                    "--timezone=off",
                    "--link-journal=no",
                    "--console=pipe",
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env=ENVIRONMENT,
            )
        deadline = time.monotonic() + PATIENCE_S
        while (state := self._state()) not in {"running", "degraded"}:
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                raise MachineError(f"it did not boot ({state or 'no state'}): {self.last_words()}")
            time.sleep(POLL_S)

    def reboot(self) -> None:
        """`systemctl reboot` inside, as an administrator does it."""
        assert self._nspawn is not None
        self.run("systemctl", "reboot", check=False)
        code = self._nspawn.wait(PATIENCE_S)
        self._nspawn = None
        if code != REBOOTED:
            raise MachineError(f"it ended with {code} in place of a new start: {self.last_words()}")
        self.boot()

    def last_words(self) -> str:
        return self.console.read_text(errors="replace")[-2000:] if self.console.exists() else ""

    def _state(self) -> str:
        try:
            return self.run("systemctl", "is-system-running", check=False).stdout.strip()
        except MachineError:
            return ""

    # Doing

    def run(
        self, *command: str, check: bool = True, environment: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root; its output is text, both streams in one."""
        namespaces = [
            "nsenter",
            "--target",
            str(self._init()),
            *["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"],
        ]
        done = subprocess.run(
            [*namespaces, "--", *command],
            env={**ENVIRONMENT, **(environment or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if check and done.returncode:
            raise MachineError(f"{' '.join(command)}: exit code {done.returncode}: {done.stdout[-2000:]}")
        return done

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """As `run`, beside whatever comes next."""
        namespaces = [
            "nsenter",
            "--target",
            str(self._init()),
            *["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"],
        ]
        return subprocess.Popen(
            [*namespaces, "--", *command],
            env={**ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def path(self, inside: str) -> Path:
        """Where a file of the machine is seen from outside, as long as nothing is mounted over it inside."""
        return self.root / inside.lstrip("/")

    def _init(self) -> int:
        """The process outside that is PID 1 inside."""
        if self._nspawn is None or self._nspawn.poll() is not None:
            raise MachineError(f"it does not run: {self.last_words()}")
        for child in _children(self._nspawn.pid):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{child}/status").read_text()
                if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
                    return child
        raise MachineError("it has no first process yet")

    # Files

    def _mount(self) -> None:
        base = self._directory
        _call("mount", "-t", "tmpfs", "-o", f"size={UPPER_BYTES}", "tmpfs", str(base))
        self._ends.callback(_call, "umount", str(base), check=False)
        for name in ("upper", "work", "root"):
            (base / name).mkdir()
        layers = f"lowerdir=/,upperdir={base}/upper,workdir={base}/work"
        _call("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        self._ends.callback(_call, "umount", "--recursive", str(self.root), check=False)

    def _furnish(self) -> None:
        """A machine that nobody has used: none of the units, mounts and names of this one, and no raftkafka."""
        for pattern in (
            "etc/systemd/system/*",
            "etc/rc?.d/S*",
            "etc/raftkafka",
            "opt/raftkafka",
            "var/lib/raftkafka",
            "usr/local/bin/rk",
            "usr/local/lib/systemd/system/raftkafka*",
            "var/log/journal",
        ):
            for path in self.root.glob(pattern):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for unit in _MASKED:
            (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        (self.root / "etc/fstab").write_text("")
        (self.root / "etc/hostname").write_text("host\n")
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        # The journal outlives a reboot.
        (self.root / "var/log/journal").mkdir(parents=True)

    def _end(self) -> None:
        nspawn, self._nspawn = self._nspawn, None
        if nspawn is not None and nspawn.poll() is None:
            children = list(_children(nspawn.pid))
            nspawn.terminate()  # an orderly power-off
            try:
                nspawn.wait(30)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()
                for child in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, 9)
        self._ends.close()
        with contextlib.suppress(OSError):
            self._directory.rmdir()
        _remove_groups()


def _children(process_id: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split():
            yield int(name)


def _remove_groups() -> None:
    """The empty control groups that systemd-nspawn --keep-unit leaves behind; those in use refuse."""
    for top in (*Path("/sys/fs/cgroup").glob("*/payload"), *Path("/sys/fs/cgroup").glob("*/supervisor")):
        for path in sorted(top.rglob("*"), reverse=True):
            if path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def _call(*command: str, check: bool = True) -> None:
    done: subprocess.CompletedProcess[str] = _quietly(command)
    if check and done.returncode:
        raise MachineError(f"{' '.join(command)}: {done.stdout.strip()}")


def _quietly(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
