"""The course of the demonstration, through the same commands that a user would type. Floor 5."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from raftkafka.cli.children import Children
from raftkafka.cli.demo_check import PartitionCheck, PartitionVerdict, failover_ms
from raftkafka.cli.layout import NodePlace, free_ports, plan, prepare
from raftkafka.cli.output import line, table
from raftkafka.cli.progress import Story
from raftkafka.model.errors import RaftKafkaError

TOPIC: Final = "logs"
PARTITIONS: Final = 3
NODES: Final = 3
_READY_TIMEOUT_S: Final = 30.0
_COMMAND_TIMEOUT_S: Final = 180.0
_LINES_PER_WRITE: Final = 500
_POLL_S: Final = 0.2


class Demonstration:
    """One run in an empty `directory`; `hold` leaves the nodes up until Ctrl-C."""

    def __init__(self, *, directory: Path, story: Story, hold: bool) -> None:
        self._directory = directory
        self._story = story
        self._hold = hold
        self._places = plan(directory, free_ports(NODES))
        self._killed_at_ms = 0.0

    def run(self, lines: Sequence[bytes]) -> bool:
        """True when everything that was acknowledged came back as it was."""
        prepare(self._directory, self._places)
        with Children() as children:
            self._start(children)
            victim, its_partitions = self._leader_of(0)
            report = self._stream(lines, children, victim)
            children.start(victim)
            self._story.tell(f"node {victim.node_id} starts again and catches up")
            self._wait_for_full_isr()
            read, read_seconds = self._read_back()
            self._story.tell("rk consume has read everything back")
            found: Counter[bytes] = Counter()
            verdicts = self._compare(read, report, found)
            equal = self._tell(
                report,
                verdicts,
                lines,
                its_partitions,
                read_seconds,
                whole=report["lines"] == len(lines) and found == Counter(lines),
            )
            if self._hold:
                self._wait_for_interrupt()
        return equal

    def _start(self, children: Children) -> None:
        for place in self._places:
            children.start(place)
        children.wait_ready(self._places, timeout_s=_READY_TIMEOUT_S)
        self._story.tell("three nodes are up, one process each")
        for place in self._places:
            self._story.tell(
                f"  node {place.node_id}: {place.address}, metrics {place.metrics_url}, pid {children.pid(place)}"
            )
        self._rk(
            "topic", "create", TOPIC, "--partitions", str(PARTITIONS), "--replication-factor", str(NODES),
            "--config", "min.insync.replicas=2",
        )  # fmt: skip
        self._story.tell(f"topic {TOPIC!r}: {PARTITIONS} partitions, {NODES} replicas each, 2 must have every record")

    def _leader_of(self, partition: int) -> tuple[NodePlace, list[int]]:
        """The node that leads `partition`, and all partitions that it leads."""
        partitions = self._described()
        leader = partitions[partition]["leader"]
        place = next(place for place in self._places if place.node_id == leader)
        return place, [each["partition"] for each in partitions if each["leader"] == leader]

    def _described(self) -> list[dict[str, Any]]:
        topics = json.loads(self._rk("topic", "describe", TOPIC, "--json"))["topics"]
        return sorted(topics[0]["partitions"], key=lambda each: each["partition"])

    def _stream(self, lines: Sequence[bytes], children: Children, victim: NodePlace) -> dict[str, Any]:
        """Feed `rk produce`, and kill the victim half way; what was acknowledged."""
        report = self._directory / "produced.json"
        errors = self._directory / "produce.log"
        command = self._command("produce", TOPIC, "--acks", "all", "--report", str(report))
        with errors.open("wb") as stderr, self._story.bar("lines handed to rk produce", len(lines)) as bar:
            producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=stderr)
            try:
                assert producer.stdin is not None
                half = len(lines) // 2
                for first in range(0, len(lines), _LINES_PER_WRITE):
                    if not self._killed_at_ms and first >= half:
                        self._killed_at_ms = time.monotonic() * 1000
                        pid = children.pid(victim)
                        children.kill(victim)
                        self._story.tell(
                            f"SIGKILL to node {victim.node_id} (pid {pid}), a leader, while records stream"
                        )
                    part = lines[first : first + _LINES_PER_WRITE]
                    producer.stdin.write(b"\n".join(part) + b"\n")
                    bar(first + len(part))
                producer.stdin.close()
                code = producer.wait(_COMMAND_TIMEOUT_S)
            except BrokenPipeError:
                code = producer.wait(_COMMAND_TIMEOUT_S)
            finally:
                if producer.poll() is None:
                    producer.kill()
                    producer.wait()
        if code:
            raise RaftKafkaError(f"rk produce ended with {code}: {errors.read_text(errors='replace').strip()}")
        self._story.tell("rk produce has an acknowledgement for every line")
        document: dict[str, Any] = json.loads(report.read_text())
        return document

    def _wait_for_full_isr(self) -> None:
        deadline = time.monotonic() + _COMMAND_TIMEOUT_S
        while not all(len(each["isr"]) == NODES for each in self._described()):
            if time.monotonic() > deadline:
                raise RaftKafkaError(f"not all replicas were in sync again within {_COMMAND_TIMEOUT_S:g} s")
            time.sleep(_POLL_S)
        self._story.tell("all replicas are in sync again")

    def _read_back(self) -> tuple[Path, float]:
        """A file with everything that is in the topic, a line per record, and how many seconds `rk consume` took for it."""
        output = self._directory / "consumed.tsv"
        began = time.monotonic()
        self._rk("consume", TOPIC, "--from-beginning", "--until-end", "--format", "offset", "--output", str(output))
        return output, time.monotonic() - began

    @staticmethod
    def _compare(read: Path, report: dict[str, Any], found: Counter[bytes]) -> list[PartitionVerdict]:
        checks = {entry["partition"]: PartitionCheck(entry, found) for entry in report["partitions"]}
        with read.open("rb") as file:
            for text in file:
                partition, offset, value = text.split(b"\t", 2)
                if (check := checks.get(int(partition))) is not None:
                    check.take(int(offset), value[:-1])
        return [check.verdict() for check in checks.values()]

    def _tell(
        self,
        report: dict[str, Any],
        verdicts: Sequence[PartitionVerdict],
        lines: Sequence[bytes],
        its_partitions: Sequence[int],
        read_seconds: float,
        *,
        whole: bool,
    ) -> bool:
        equal = whole and all(verdict.equal for verdict in verdicts)
        line("")
        table(
            ("PARTITION", "LINES IN", "LINES OUT", "EXTRA COPIES", "SHA-256 IN", "SHA-256 OUT", "EQUAL"),
            [
                (
                    verdict.partition,
                    verdict.lines_in,
                    verdict.lines_out,
                    verdict.extra_copies,
                    verdict.sha256_in[:16],
                    verdict.sha256_out[:16],
                    "yes" if verdict.equal else "NO",
                )
                for verdict in verdicts
            ],
        )
        line("")
        line(
            "In: lines whose offset the brokers acknowledged. Out: what rk consume read at those offsets, in their order."
        )
        line("Extra copies: lines that lie there once more than they were sent; an idempotent producer leaves none.")
        line(f"All {len(lines)} input lines together equal all lines read back: {'yes' if whole else 'NO'}")
        line("")
        line(
            f"in       {report['records_per_second']:>9,} records/s  rk produce, acks=all, synced to disk, the crash included"
        )
        out = sum(verdict.lines_out + verdict.extra_copies for verdict in verdicts)
        line(f"out      {out / read_seconds:>9,.0f} records/s  rk consume, start of the command included")
        for entry in report["partitions"]:
            if entry["partition"] in its_partitions:
                pause = failover_ms(entry["acks"], self._killed_at_ms)
                what = (
                    "       no record was acknowledged after the kill"
                    if pause is None
                    else (
                        f"{pause:>9,.0f} ms         from the kill to the first record that partition {entry['partition']}'s new leader acknowledged"
                    )
                )
                line(f"failover {what}")
        line("")
        self._say_how_to_look()
        return equal

    def _say_how_to_look(self) -> None:
        if not self._hold:
            line(f"The nodes end now. To look around: {_rk_as_typed()} demo --hold leaves them up (make demo HOLD=1),")
            line(f"and {_rk_as_typed()} up --nodes 3 starts others.")
            return
        first = self._places[0].address
        line("The nodes keep running until Ctrl-C. In another terminal:")
        for command in (
            f"topic describe {TOPIC}",
            "cluster status",
            f"consume {TOPIC} --from-beginning --max-messages 10 --format json",
        ):
            line(f"  {_rk_as_typed()} {command} --bootstrap-server {first}")
        line(f"  curl {self._places[0].metrics_url}")
        sys.stdout.flush()

    @staticmethod
    def _wait_for_interrupt() -> None:
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            line("")

    def _command(self, *arguments: str) -> list[str]:
        bootstrap = ",".join(place.address for place in self._places)
        return [sys.executable, "-m", "raftkafka.cli.main", *arguments, "--bootstrap-server", bootstrap]

    def _rk(self, *arguments: str) -> str:
        """A command's output.

        Raises:
            RaftKafkaError: it failed; its own words are the message.
        """
        done = subprocess.run(
            self._command(*arguments), capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise RaftKafkaError(f"rk {' '.join(arguments)}: {done.stderr.strip().removeprefix('rk: ')}")
        return done.stdout


def _rk_as_typed() -> str:
    """How a reader can call this program: by its name if that is found, else by its path, as `make demo` does."""
    found, own = shutil.which("rk"), Path(sys.argv[0])
    if own.name != "rk" or (found is not None and Path(found).samefile(own)):
        return "rk"
    return os.path.relpath(own)
