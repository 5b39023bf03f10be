"""`rk log` over files: what is shown, what is said of damage, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from struct import pack

import pytest

from raftkafka.cli.main import main
from raftkafka.record.build import encode_values
from raftkafka.record.header import stamp

NAME = f"{7:020}"


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """Two batches of two records and of one, with both indexes."""
    content = bytearray()
    for offset, values in ((7, [b"one", b"two"]), (9, [b"three"])):
        batch = bytearray(encode_values(values, timestamp_ms=1_000 + offset))
        stamp(batch, 0, offset, 3)
        at = len(content)
        content += batch
    (tmp_path / f"{NAME}.log").write_bytes(content)
    (tmp_path / f"{NAME}.index").write_bytes(pack(">II", 2, at))
    (tmp_path / f"{NAME}.timeindex").write_bytes(pack(">qI", 1_009, 2))
    return tmp_path / f"{NAME}.log"


def test_batches_are_shown_in_kafkas_words(segment, capsys):
    assert main(["log", "dump", str(segment)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"Dumping {segment}", "Starting offset: 7"]
    assert lines[2].startswith("baseOffset: 7 lastOffset: 8 count: 2 baseSequence: -1 lastSequence: -1 producerId: -1")
    assert "partitionLeaderEpoch: 3" in lines[2]
    assert lines[2].endswith("isvalid: true")
    assert len(lines) == 4


def test_deep_shows_the_records_and_limits_choose_batches(segment, capsys):
    assert main(["log", "dump", str(segment), "--deep", "--offset", "8", "--max-batches", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()[3:]
    assert [line.split(" key: ")[1] for line in lines] == ["null payload: one", "null payload: two"]
    assert main(["log", "dump", str(segment), "--deep", "--json", "--offset", "9"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["baseOffset"], document["isvalid"], document["records"][0]["payload"]) == (9, True, "three")


def test_indexes_are_shown_entry_by_entry(segment, capsys):
    assert main(["log", "dump", str(segment.with_suffix(".index")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offset"] == 9
    assert main(["log", "dump", str(segment.with_suffix(".timeindex"))]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "timestamp: 1009 offset: 9"


def test_what_is_sound_is_said_to_be(segment, capsys):
    for path in (segment, segment.parent):
        assert main(["log", "verify", str(path), "--deep"]) == 0
        assert capsys.readouterr().out == f"{segment}: sound, 2 batches, 3 records, {segment.stat().st_size} bytes\n"


def test_damage_is_told_with_its_place_and_exit_code_1(segment, capsys):
    content = bytearray(segment.read_bytes())
    content[65] ^= 1
    segment.write_bytes(content)
    assert main(["log", "verify", str(segment)]) == 1
    assert capsys.readouterr().out == f"{segment}: at 0: the checksum is wrong\n"
    assert main(["log", "dump", str(segment)]) == 1
    assert "isvalid: false problem: the checksum is wrong" in capsys.readouterr().out


def test_an_index_that_leads_astray_is_told(segment, capsys):
    segment.with_suffix(".index").write_bytes(pack(">II", 2, 1))
    assert main(["log", "verify", str(segment), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["problems"] == [
        {
            "file": str(segment.with_suffix(".index")),
            "position": None,
            "text": "entry 0: no batch begins at position 1",
        }
    ]


def test_an_empty_segment_is_sound(tmp_path, capsys):
    path = tmp_path / f"{0:020}.log"
    path.write_bytes(b"")
    assert main(["log", "verify", str(path)]) == 0
    assert "sound, 0 batches" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["dump", "verify"])
@pytest.mark.parametrize("name", ["server.log", "x.log", "5.txt", "nowhere/5.log"])
def test_what_is_no_segment_is_refused_in_one_line(tmp_path, capsys, command, name):
    path = tmp_path / name
    if path.parent.exists():
        path.write_bytes(b"x")
    assert main(["log", command, str(path)]) == 1
    captured = capsys.readouterr()
    assert str(path) in captured.err
    assert captured.err.count("\n") == 1


def test_a_directory_without_segments_is_refused(tmp_path, capsys):
    assert main(["log", "verify", str(tmp_path)]) == 1
    assert "no segment" in capsys.readouterr().err
