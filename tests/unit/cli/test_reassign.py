"""The files of `rk reassign`: Kafka's form is read, everything else is refused in one line that says what is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from raftkafka.cli.main import main
from raftkafka.cli.reassign import _targets

ENTRY = '{"topic":"a","partition":0,"replicas":[1]}'


def test_kafkas_form_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[2,3],"log_dirs":["any","any"]},'
        '{"topic":"a","partition":1,"replicas":[]}]}'
    )
    file = tmp_path / "moves.json"
    file.write_text(text)
    assert _targets(file) == {("a", 0): [2, 3], ("a", 1): []}
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert _targets(Path("-")) == {("a", 0): [2, 3], ("a", 1): []}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "version"),
        ('{"version":2,"partitions":[]}', "version"),
        ('{"version":1}', "partitions"),
        ('{"version":1,"partitions":[]}', "partitions"),
        ('{"version":1,"partitions":[7]}', "entry 0"),
        ('{"version":1,"partitions":[{"topic":"a","partition":0}]}', "entry 0"),
        ('{"version":1,"partitions":[{"topic":"a","partition":true,"replicas":[1]}]}', "entry 0"),
        ('{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":["1"]}]}', "entry 0"),
        ('{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[-1]}]}', "entry 0"),
        (f'{{"version":1,"partitions":[{ENTRY},{ENTRY}]}}', "a-0 is named twice"),
    ],
)
def test_other_files_are_refused(text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "moves.json"
    file.write_text(text)
    with pytest.raises(click.BadParameter, match=words):
        _targets(file)
    for command in ("execute", "cancel"):
        assert main(["reassign", command, str(file)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("rk: ")
        assert captured.err.count("\n") == 1
        assert words in captured.err


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "moves.json"
    file.write_bytes(b"\xff\xfe")
    assert main(["reassign", "execute", str(file)]) == 2
    assert "not JSON" in capsys.readouterr().err
