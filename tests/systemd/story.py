"""The life of three nodes on one machine with a real systemd, told by commands; every step is asserted.

What is waited for has a deadline that only a hang can meet; nothing sleeps in hope.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.systemd.machine import PATIENCE_S, POLL_S, Machine
from tests.systemd.transcript import Transcript

NODES: Final = (1, 2, 3)
EXPOSURE_MAX: Final = 2.0
WATCHDOG_S: Final = 10
SERVERS: Final = "localhost:9092,localhost:9093,localhost:9094"
ALL: Final = " ".join(f"raftkafka@{node}" for node in NODES)


class Story:
    def __init__(self, machine: Machine, archive: Path, transcript: Transcript) -> None:
        self._machine = machine
        self._archive = archive
        self._page = transcript
        self._records = 0

    def tell(self) -> None:
        for chapter in (
            self.install,
            self.one_node,
            self.all_nodes,
            self.records,
            self.kill,
            self.watchdog,
            self.bad_settings,
            self.rolling_restart,
            self.journal,
            self.stop_all,
            self.reboot,
            self.uninstall,
        ):
            began = time.monotonic()
            chapter()
            print(f"({time.monotonic() - began:.0f} s)", flush=True)

    # The chapters

    def install(self) -> None:
        self._page.say("## Install, without a network")
        shutil.copy(self._archive, self._machine.path(f"/root/{self._archive.name}"))
        links = self.run("ip -brief link")
        assert [line.split()[0] for line in links.splitlines()] == ["lo"], links
        directory = self._archive.name.removesuffix(".tar.gz")
        self.run(f"tar -xzf {self._archive.name}")
        self._directory = directory
        installed = self.run(f"{directory}/install.sh")
        assert "installing raftkafka" in installed
        self._page.say("A second time it finds everything in its place, and leaves settings and secret as they are:")
        self.run("echo '# mine' >> /etc/raftkafka/server-1.properties")
        before = self.quietly("sha256sum /etc/raftkafka/*")
        again = self.run(f"{directory}/install.sh | sed -n 1p")
        assert "is there already" in again
        assert self.quietly("sha256sum /etc/raftkafka/*") == before
        exposure = self.run("systemd-analyze security --no-pager raftkafka@1 | tail -1")
        assert float(exposure.split(":")[1].split()[0]) <= EXPOSURE_MAX

    def one_node(self) -> None:
        self._page.say(
            "## The first of three\n\n"
            "A node that waits for others is ready as soon as it listens: the command returns, nothing times out, and the status\n"
            "says what is missing."
        )
        self.run("systemctl start raftkafka@1")
        shown = self.run("systemctl show raftkafka@1 -p Type,ActiveState,StatusText,WatchdogUSec,NRestarts")
        assert "ActiveState=active" in shown
        assert "StatusText=waiting for a majority: connected to 0 of 2 other voters" in shown

    def all_nodes(self) -> None:
        self._page.say(
            "## Three nodes through the target\n\n"
            f"For this page, node 3 gets a shorter watchdog ({WATCHDOG_S} s in place of 30 s), as a drop-in."
        )
        self.run("mkdir /etc/systemd/system/raftkafka@3.service.d")
        drop_in = "/etc/systemd/system/raftkafka@3.service.d/watchdog.conf"
        self.run(f"printf '[Service]\\nWatchdogSec={WATCHDOG_S}\\n' > {drop_in}; systemctl daemon-reload")
        self.run(f"systemctl enable --quiet {ALL} raftkafka.target")
        self.run("systemctl start raftkafka.target")
        active = self.run(f"systemctl is-active raftkafka.target {ALL}")
        assert active.split() == ["active"] * 4
        self.wait_for_brokers()
        self.run("rk cluster status")
        self.until_shown(
            f"systemctl show {ALL} -p StatusText",
            lambda text: text.count("term") == 3 and "waiting" not in text,
        )

    def records(self) -> None:
        self._page.say("## A topic and records")
        self.run("rk topic create orders --partitions 3 --replication-factor 3 --config min.insync.replicas=2")
        self.produce(20_000)
        self.assert_equal()

    def kill(self) -> None:
        self._page.say("## Kill\n\nNode 2 comes back by itself, and catches up with what was written meanwhile.")
        before = self.restarts(2)
        self.run("systemctl kill -s KILL raftkafka@2")
        self.produce(20_000)
        self.until(lambda: self.restarts(2) == before + 1 and self.serves(2), "node 2 was started again")
        self.run("systemctl show raftkafka@2 -p NRestarts,ActiveState")
        self.wait_in_sync()
        self.run("rk topic describe orders")
        self.assert_equal()

    def watchdog(self) -> None:
        self._page.say(
            "## Watchdog\n\n"
            "A process that is stopped gives no sign of life, as one whose event loop is stuck. systemd ends it and starts it again; the\n"
            "node's last words say where it was."
        )
        before, process = self.restarts(3), self.property(3, "MainPID")
        self.run("kill -STOP $(systemctl show raftkafka@3 -p MainPID --value)")
        self.until(lambda: self.restarts(3) == before + 1 and self.serves(3), "node 3 was started again")
        assert self.property(3, "MainPID") != process
        said = self.run(
            "journalctl -q --no-pager -o cat -u raftkafka@3 | grep -e atchdog -e 'Fatal Python' -e 'Scheduled restart'"
        )
        assert f"Watchdog timeout (limit {WATCHDOG_S}s)!" in said
        assert "Failed with result 'watchdog'" in said
        assert "Fatal Python error: Aborted" in said
        self.wait_in_sync()
        self.assert_equal()

    def bad_settings(self) -> None:
        self._page.say(
            "## Settings that cannot be used\n\nNo start mends them, so there is one only, and its reason is shown."
        )
        path = "/etc/raftkafka/server-3.properties"
        self.run(f"cp {path} /root/kept; echo 'log.retention.hours=soon' >> {path}")
        before = self.restarts(3)
        refused = self.run("systemctl restart raftkafka@3", code=1)
        assert "Job for raftkafka@3.service failed" in refused
        shown = self.run("systemctl show raftkafka@3 -p ActiveState,Result,ExecMainStatus")
        assert shown.split() == ["Result=exit-code", "ExecMainStatus=78", "ActiveState=failed"]
        said = self.run("journalctl -q --no-pager -o cat -u raftkafka@3 -p crit -n 1")
        assert "server-3.properties:" in said
        assert "log.retention.hours" in said
        self.run(f"cp /root/kept {path}; systemctl start raftkafka@3")
        assert self.is_active(3)
        assert self.restarts(3) <= before
        self.wait_in_sync()

    def rolling_restart(self) -> None:
        self._page.say(
            "## One node after the other, while records are written\n\n"
            "Each stop moves leaderships first, so producers have nothing to wait for."
        )
        first, count = self._records + 1, 30_000
        self.run(f"seq -f 'record %08.0f' {first} {first + count - 1} > /root/more; cat /root/more >> /root/records")
        self._records += count
        command = f"rk produce orders --rate 1500 --file more --bootstrap-server {SERVERS}"
        self._page.command(f"{command} &", "")
        producer = self._machine.start("bash", "-c", f"cd /root && {command}")
        try:
            for node in NODES:
                led = self.led_by(node)
                self.run(f"systemctl restart raftkafka@{node}")
                self.until(lambda node=node: self.serves(node), f"node {node} serves")
                self.wait_in_sync()
                for partition in led:
                    why = self.quietly(f"rk why partition orders-{partition}")
                    assert f"broker {node} was asked to stop and gave its leaderships away" in why, why
            said, _ = producer.communicate(timeout=PATIENCE_S)
        finally:
            if producer.poll() is None:
                producer.kill()
                producer.communicate()
        assert producer.returncode == 0, said
        self._page.command("wait", said)
        why = self.run("rk why partition orders-0 | tail -n 4")
        assert "was asked to stop and gave its leaderships away" in why
        self.assert_equal()

    def journal(self) -> None:
        self._page.say("## The journal, by field")
        lines = self.run("journalctl -q --no-pager -o json RAFTKAFKA_NODE=2 | wc -l")
        assert int(lines) > 10
        entries = [json.loads(line) for line in self.quietly("journalctl -q -o json RAFTKAFKA_NODE=2").splitlines()]
        assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {"raftkafka@2.service"}
        for entry in entries:
            assert entry["SYSLOG_IDENTIFIER"] == "raftkafka"
            assert entry["LOGGER"].startswith("raftkafka.")
            assert int(entry["PRIORITY"]) in range(8)
            assert entry["CODE_FILE"].endswith(".py")
        fields = "MESSAGE,PRIORITY,RAFTKAFKA_NODE,RAFTKAFKA_TOPIC,RAFTKAFKA_PARTITION"
        about = "RAFTKAFKA_TOPIC=orders RAFTKAFKA_PARTITION=0 -n 1"
        self.run(f"journalctl -q --no-pager -o verbose --output-fields={fields} {about}")
        [entry] = [json.loads(line) for line in self.quietly(f"journalctl -q -o json {about}").splitlines()]
        assert (entry["RAFTKAFKA_TOPIC"], entry["RAFTKAFKA_PARTITION"]) == ("orders", "0")
        assert entry["RAFTKAFKA_NODE"] in {"1", "2", "3"}
        assert entry["MESSAGE"].startswith("orders-0: ")

    def stop_all(self) -> None:
        self._page.say("## Stop everything, start it again")
        self.run("systemctl stop raftkafka.target")
        self._page.say("That begins with all nodes and returns; this waits for them:")
        self.run("systemctl stop 'raftkafka@*'")
        shown = self.run(f"systemctl show {ALL} -p ActiveState,Result,ExecMainStatus | grep . | sort | uniq -c")
        assert [line.split() for line in shown.splitlines()] == [
            ["3", "ActiveState=inactive"],
            ["3", "ExecMainStatus=0"],
            ["3", "Result=success"],
        ]
        marks = self.run("ls /var/lib/raftkafka/node-*/.kafka_cleanshutdown")
        assert len(marks.split()) == 3
        self.run("systemctl start raftkafka.target")
        self.wait_in_sync()
        self.assert_equal()

    def reboot(self) -> None:
        self._page.say("## Reboot\n\nThe nodes stop in order, and are there again without anybody doing anything.")
        identity = self.quietly("cat /proc/sys/kernel/random/boot_id; journalctl --list-boots --no-pager | wc -l")
        self._page.command("systemctl reboot", "")
        self._machine.reboot()
        assert (
            self.quietly("cat /proc/sys/kernel/random/boot_id; journalctl --list-boots --no-pager | wc -l") != identity
        )
        stopped = self.run(
            "journalctl -q --no-pager -o cat -b -1 -u 'raftkafka@*' | grep -c 'Deactivated successfully'; true"
        )
        assert int(stopped) >= 3
        active = self.run(f"systemctl is-active raftkafka.target {ALL}")
        assert active.split() == ["active"] * 4
        self.wait_in_sync()
        self.run("rk cluster status")
        self.assert_equal()

    def uninstall(self) -> None:
        self._page.say("## Uninstall\n\nIt stops the nodes in order and leaves settings and data.")
        self.run(f"{self._directory}/uninstall.sh")
        assert self.quietly("systemctl list-unit-files 'raftkafka*' --no-legend || true").strip() == ""
        kept = self.run("ls /etc/raftkafka /var/lib/raftkafka; test -e /opt/raftkafka || echo the program is gone")
        for name in ("cluster.secret", "server-1.properties", "node-1", "node-2", "node-3", "the program is gone"):
            assert name in kept
        assert self.quietly("rk", code=127)
        self._page.say("Whoever installs it again finds every record:")
        self.run(f"{self._directory}/install.sh | sed -n 1p; systemctl enable --quiet --now {ALL} raftkafka.target")
        self.wait_for_brokers()
        self.wait_in_sync()
        self.assert_equal()
        self.run(f"{self._directory}/uninstall.sh --purge")
        left = "ls -d /etc/raftkafka /var/lib/raftkafka /opt/raftkafka 2>/dev/null; getent passwd raftkafka || echo nothing is left"
        assert self.run(left).strip() == "nothing is left"

    # Running and looking

    def run(self, command: str, *, code: int = 0) -> str:
        """Run a command as root would type it, into the page; its output."""
        output = self.quietly(command, code=code)
        self._page.command(command, output)
        return output

    def quietly(self, command: str, *, code: int = 0) -> str:
        done = self._machine.run("bash", "-c", f"cd /root && {command}", check=False)
        assert done.returncode == code, f"{command}: exit code {done.returncode}: {done.stdout[-3000:]}"
        return done.stdout

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}\n{self.last_words()}"
            time.sleep(POLL_S)

    def until_shown(self, command: str, condition: Callable[[str], bool]) -> None:
        """Repeat a command until its output is as it should be; the page has the last time."""
        self.until(lambda: condition(self.quietly(command)), command)
        self.run(command)

    def last_words(self) -> str:
        return self._machine.run("journalctl", "-q", "--no-pager", "-n", "60", check=False).stdout

    def property(self, node: int, name: str) -> str:
        return self.quietly(f"systemctl show raftkafka@{node} -p {name} --value").strip()

    def restarts(self, node: int) -> int:
        return int(self.property(node, "NRestarts"))

    def is_active(self, node: int) -> bool:
        return self.property(node, "ActiveState") == "active"

    def serves(self, node: int) -> bool:
        """Whether it takes part again, as it says itself since this start."""
        return self.is_active(node) and "leads" in self.property(node, "StatusText")

    def json(self, command: str) -> Any:
        """None where the cluster does not answer at the moment."""
        done = self._machine.run("bash", "-c", f"{command} --json 2>/dev/null", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def partitions(self) -> list[dict[str, Any]]:
        answer = self.json("rk topic describe orders")
        return answer["topics"][0]["partitions"] if answer else []

    def led_by(self, node: int) -> list[int]:
        return [each["partition"] for each in self.partitions() if each["leader"] == node]

    def wait_in_sync(self) -> None:
        def in_sync() -> bool:
            found = self.partitions()
            return len(found) == 3 and all(sorted(each["isr"]) == list(NODES) for each in found)

        self.until(in_sync, "every replica is in sync")

    def wait_for_brokers(self) -> None:
        def complete() -> bool:
            answer = self.json("rk cluster status")
            return bool(answer) and [each["fenced"] for each in answer["brokers"]] == [False] * len(NODES)

        self.until(complete, "three brokers are active")

    def produce(self, count: int) -> None:
        first = self._records + 1
        self.run(f"seq -f 'record %08.0f' {first} {first + count - 1} | tee -a records | rk produce orders")
        self._records += count

    def assert_equal(self) -> None:
        """What is read is what was written: every record, once."""
        said = self.run("rk consume orders --from-beginning --until-end | sort | cmp - records && wc -l < records")
        assert int(said) == self._records
