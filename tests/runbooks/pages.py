"""Runs a runbook: every command of its console blocks, in order, against a cluster of real processes.

A block marked `console` holds commands, `$ ` in front (`> ` continues one), and what they print: `...` stands for anything, lines may be
left out, and what is there has to come in that order. A command ends with 0, or as a comment behind it says: `# exits with 1`;
`# until it exits with 0` repeats it. `systemctl` works on the cluster's processes, `journalctl` shows what they have logged.
Comments of the page of the form `<!-- test: kill 3 -->` break and mend the cluster in between. What stands between
`<!-- test: for 1 2 3 -->` and `<!-- test: end -->` is done for each of these nodes, with the names of that node.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from raftkafka.cli.children import readiness
from raftkafka.cli.layout import HOST
from tests.clusters import ROOT, Cluster, eventually

RUNBOOKS: Final = ROOT / "ops" / "runbooks"
_STEPS: Final = re.compile(r"<!-- test: (?P<step>[^>]+) -->|^```console\n(?P<block>.*?)^```", re.DOTALL | re.MULTILINE)
_EXITS: Final = re.compile(r"# exits with (\d+)$")
_UNTIL: Final = re.compile(r"# until it exits with 0$")
_UNIT: Final = re.compile(r"raftkafka@(\d+)(?:\.service)?")
COMMAND_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A word to the harness: `kill 3`."""

    words: tuple[str, ...]


@dataclass(slots=True)
class Command:
    text: str
    prints: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        found = _EXITS.search(self.text)
        return int(found[1]) if found else 0

    @property
    def repeats(self) -> bool:
        return _UNTIL.search(self.text) is not None


def steps(page: str) -> Iterator[Step | Command]:
    for found in _STEPS.finditer(page):
        if found["step"] is not None:
            yield Step(tuple(found["step"].split()))
        else:
            yield from _commands(found["block"])


def _commands(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line[2:])
        elif command is None:
            raise AssertionError(f"a console block begins with a command, not with {line!r}")
        elif line.startswith("> ") and not command.prints:
            command.text += "\n" + line[2:]
        elif line.strip():
            command.prints.append(line)
    if command is not None:
        yield command


def not_printed(expected: list[str], output: str) -> str | None:
    """The first expected line that does not come, in this order; None when all do."""
    lines = iter(output.splitlines())
    for wanted in expected:
        pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in wanted.split("...")))
        if not any(pattern.fullmatch(" ".join(line.split())) or pattern.fullmatch(line.strip()) for line in lines):
            return wanted
    return None


class Runner:
    """`names_of` says what the names in the pages stand for when they are about that node; `node_id` is the one until the page
    says another. `steps` of the page may be more than those here."""

    def __init__(
        self,
        cluster: Cluster,
        directory: Path,
        names_of: Callable[[int], Mapping[str, str]],
        node_id: int = 3,
        steps: Mapping[str, Callable[..., Awaitable[None]]] = MappingProxyType({}),
    ) -> None:
        self._cluster = cluster
        self._names_of = names_of
        self._node_id = node_id
        self._steps = steps
        self._directory = directory
        directory.mkdir()
        shims = directory / "bin"
        shims.mkdir()
        logs = " ".join(str(place.log) for place in cluster.places)
        (shims / "journalctl").write_text(f"#!/bin/sh\nexec cat {logs}\n")
        (shims / "journalctl").chmod(0o755)
        path = os.pathsep.join([str(shims), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "RK_BOOTSTRAP_SERVER": cluster.bootstrap}
        self.ran: list[str] = []

    async def run(self, page: str) -> None:
        await self._run(list(steps(page)))

    async def _run(self, found: list[Step | Command]) -> None:
        while found:
            step = found.pop(0)
            if isinstance(step, Step) and step.words[0] == "for":
                end = found.index(Step(("end",)))
                inner, found = found[:end], found[end + 1 :]
                before = self._node_id
                for node in step.words[1:]:
                    self._node_id = int(node)
                    await self._run(list(inner))
                self._node_id = before
            elif isinstance(step, Step):
                await self._prepare(step)
            elif step.repeats:
                await eventually(lambda step=step: self._succeeds(step), f"{step.text} exits with 0")
            else:
                await self._execute(step)

    async def _succeeds(self, command: Command) -> bool:
        return (await asyncio.to_thread(self._shell, command.text)).returncode == 0

    async def _execute(self, command: Command) -> None:
        self.ran.append(command.text)
        if command.text.startswith("systemctl "):
            await self._systemctl(command.text)
            return
        done = await asyncio.to_thread(self._shell, command.text)
        said = f"$ {command.text}\n{done.stdout}{done.stderr}\nexit code {done.returncode}"
        # What `head` does not want to read any more ends the command in front of it, as it should.
        code = 0 if done.returncode == 128 + signal.SIGPIPE else done.returncode
        assert code == command.exit_code, said
        missing = not_printed(command.prints, done.stdout + done.stderr)
        assert missing is None, f"{said}\nhas no line {missing!r}"

    def _shell(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self._directory,
            env={**self._environment, **self._names_of(self._node_id)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )

    async def _systemctl(self, text: str) -> None:
        words = (await asyncio.to_thread(self._shell, f"echo {text}")).stdout.split()
        units = [int(found[1]) for word in words if (found := _UNIT.fullmatch(word))]
        assert units, f"{text}: names no unit"
        for node_id in units:
            running = self._cluster.is_running(node_id)
            match words[1]:
                case "start":
                    if not running:
                        self._cluster.start(node_id)
                case "stop":
                    if running:
                        await self._cluster.stop(node_id)
                case "restart":
                    if running:
                        await self._cluster.stop(node_id)
                    self._cluster.start(node_id)
                case "status":
                    pass
                case verb:
                    raise AssertionError(f"{text}: the tests know no systemctl {verb}")
        if words[1] in {"start", "restart"}:
            await self._cluster.ready(*units)

    async def _has_noticed(self) -> bool:
        """The controller has fenced whoever is down; where there is no majority for one, nobody is ready."""
        cluster = self._cluster
        running = [place for place in cluster.places if cluster.is_running(place.node_id)]
        if 2 * len(running) <= len(cluster.places):
            return await asyncio.to_thread(readiness, running[0]) != "ready"
        down = len(cluster.places) - len(running)
        status = await asyncio.to_thread(self._shell, "rk cluster status --json")
        brokers = json.loads(status.stdout)["brokers"] if status.returncode == 0 else []
        return sum(broker["fenced"] for broker in brokers) == down

    async def _prepare(self, step: Step) -> None:
        cluster = self._cluster
        match step.words:
            case ("kill", *nodes):
                cluster.kill(*[int(each) for each in nodes if cluster.is_running(int(each))])
                await eventually(self._has_noticed, f"the cluster notices that {nodes} are gone")
            case ("start", *nodes):
                cluster.start(*[int(each) for each in nodes if not cluster.is_running(int(each))])
                await cluster.ready(*map(int, nodes))
            case ("lose-disk", node):
                await asyncio.to_thread(shutil.rmtree, cluster.place(int(node)).directory)
            case ("in-sync", topic):
                await cluster.wait_isr_full(topic)
            case ("lose-everything",):
                cluster.kill(*[each for each in cluster.node_ids if cluster.is_running(each)])
                for place in cluster.places:
                    await asyncio.to_thread(shutil.rmtree, place.directory)
            case (name, *words) if name in self._steps:
                await self._steps[name](*words)
            case _:
                raise AssertionError(f"the tests know no step {step.words}")


def names(cluster: Cluster, node_id: int = 3) -> dict[str, str]:
    """What ops/runbooks/README.md calls things by, for a page about this node."""
    place = cluster.place(node_id)
    return {
        "NODE": str(node_id),
        "HTTP": f"http://{HOST}:{place.ports.http}",
        "RK_BOOTSTRAP_HTTP": f"{HOST}:{cluster.place(1).ports.http}",
        "RAFT": f"{HOST}:{place.ports.raft}",
        "DATA": str(place.directory),
        "PROPERTIES": str(place.properties),
        "VOTER": f"3@{HOST}:{cluster.place(3).ports.raft}",
        "OPT": str(cluster.directory / "opt"),
        "OLD": "0.1.0",
        "NEW": "0.2.0",
        "BACKUP": str(cluster.directory / "backup"),
        "TOPIC": "orders",
        "GROUP": "billing",
    }
