"""The command line itself: exit codes, one clear line, no traceback, and nothing heavy for small commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raftkafka import __version__
from raftkafka.cli.commands import COMMANDS
from raftkafka.cli.main import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"raftkafka {__version__}\n"


@pytest.mark.parametrize(
    "command", [[], *([command] for command in COMMANDS), ["topic", "create"], ["cluster", "status"]]
)
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"Usage: {' '.join(['rk', *command])}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["topic", "create"], "Missing argument"),
        (["topic", "crate", "x"], "crate"),
        (["topic", "create", "x", "--partitions", "0"], "--partitions"),
        (["topic", "create", "x", "--config", "retention.ms"], "is not KEY=VALUE"),
        (["topic", "alter", "x"], "--partitions"),
        (["topic", "alter", "x", "--partitions", "0"], "--partitions"),
        (["reassign", "execute", "/nowhere/moves.json"], "/nowhere/moves.json"),
        (["reassign", "generate", "--topic", "t", "--brokers", "1,b"], "is no list of ids"),
        (["cluster", "elect-leaders", "--partition", "0"], "--topic"),
        (["cluster", "elect-leaders", "--unclean"], "--topic"),
        (["consume", "t", "--offset", "1"], "name it"),
        (["consume", "t", "--offset", "1", "--partition", "0", "--from-beginning"], "choose one"),
        (["consume", "t", "--format", "xml"], "xml"),
        (["consume", "t", "--template", "{frob}"], "{frob} is none of"),
        (["consume", "t", "--template", "{key}", "--json"], "choose one"),
        (["produce", "t", "--header", "a"], "is not NAME=VALUE"),
        (["produce", "t", "--rate", "0"], "--rate"),
        (["produce", "t", "--acks", "2"], "2"),
        (["produce", "t", "--key-separator", ""], "empty"),
        (["up", "--nodes", "0"], "--nodes"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("rk: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_RK_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [("rk top", "plain,topic"), ("rk topic cr", "plain,create"), ("rk topic create --part", "plain,--partitions")],
)
def test_completions(
    words: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_RK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [found]


def test_the_manual_page_names_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(".TH RK 1 ")
    plain = text.replace(r"\-", "-")
    for command in COMMANDS:
        assert f'\n.SS "rk {command} ' in plain, command
    for words in (".B --replication-factor N", "rk topic create [OPTIONS] TOPIC", "RK_BOOTSTRAP_SERVER"):
        assert words in plain
    assert "--help" not in plain.partition(".SH EXIT STATUS")[0]
    assert "--with-parent" not in plain, "hidden options are not told"
    # Every line is a request that is meant, or text: none begins with a dot by chance.
    requests = {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".PP"}


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man on this machine")
def test_man_reads_the_manual_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["man"])
    page = tmp_path / "rk.1"
    page.write_text(capsys.readouterr().out)
    done = subprocess.run(
        ["man", "-E", "UTF-8", "-l", str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
    )
    assert "--bootstrap-server HOST:PORT,..." in done.stdout.replace("\u2010", "-").replace("\u2212", "-")


@pytest.mark.parametrize("group", [["topic"], ["cluster"], ["reassign"], []])
def test_a_group_alone_shows_its_help(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(group) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["topic", "list"],
        ["topic", "describe", "t", "--json"],
        ["topic", "create", "t"],
        ["topic", "delete", "t"],
        ["topic", "alter", "t", "--partitions", "2"],
        ["reassign", "list"],
        ["cluster", "elect-leaders"],
        ["cluster", "elect-leaders", "--topic", "t", "--unclean"],
        ["cluster", "status"],
        ["consume", "t"],
    ],
)
def test_nobody_there_is_one_line_and_code_1(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # Port 1 of loopback: nobody listens there.
    assert main([*arguments, "--bootstrap-server", "127.0.0.1:1", "--timeout-ms", "50"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("rk: ")
    assert captured.err.count("\n") == 1


def test_a_bad_bootstrap_server_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topic", "list", "--bootstrap-server", "localhost:port"]) == 1
    assert "'localhost:port' is not host:port" in capsys.readouterr().err


def test_check_reports_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    properties = tmp_path / "server.properties"
    properties.write_text("broker.id=7\nzookeeper.connect=zk001:2181\n")
    assert main(["broker", "--check", str(properties)]) == 0
    assert "node 7 can be started" in capsys.readouterr().out
    properties.write_text("log.retention.hour=1\n")
    assert main(["broker", "--check", str(properties)]) == 1
    assert capsys.readouterr().err == (
        f"rk: {properties}:1: unknown key 'log.retention.hour'; did you mean 'log.retention.hours'?\n"
    )
    assert main(["broker", "--check", str(tmp_path / "missing")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_reader_who_leaves_is_no_failure() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "raftkafka.cli.main", "--help"],
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[3],
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_harm_nobody(closed: str) -> None:
    command = (
        f"{sys.executable} -m raftkafka.cli.main topic list --bootstrap-server 127.0.0.1:1 --timeout-ms 50 {closed}"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, timeout=60, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_client_commands_never_load_what_only_a_broker_needs() -> None:
    program = (
        "import json, sys; from raftkafka.cli.main import main;"
        "main(['topic', 'list', '--bootstrap-server', '127.0.0.1:1', '--timeout-ms', '50']);"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules} | set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {
        "pysyncobj",
        "prometheus_client",
        "rich",
        "aiofiles",
        "pydantic",
        "starlette",
        "uvicorn",
        "raftkafka.node",
        "raftkafka.broker",
        "raftkafka.model.api.messages",
        "raftkafka.wire.native.groups",
        "raftkafka.client.configs",
        "raftkafka.client.group.coordinator",
        "raftkafka.model.api.groups",
        "raftkafka.model.api.topics",
        "raftkafka.wire.native.versions",
    }
