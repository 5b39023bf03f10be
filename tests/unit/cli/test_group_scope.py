from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.cli.group_scope import datetime_ms, duration_ms, read_offsets, scope_of, write_offsets
from raftkafka.cli.main import main
from raftkafka.client.types import TopicPartition

T0, T1 = TopicPartition("t", 0), TopicPartition("u", 12)


def test_topics_and_their_partitions():
    assert scope_of(["t", "u:0", "v.w:1,22"]) == [("t", None), ("u", [0]), ("v.w", [1, 22])]
    for wrong in ("t:", ":1", "t:a", "t:1,", "", "t:-1", "t:\u0663"):
        with pytest.raises(click.BadParameter):
            scope_of([wrong])


def test_times_are_utc_unless_they_say_otherwise():
    assert datetime_ms("1970-01-01T00:00:01.500") == 1_500
    assert datetime_ms("1970-01-01T02:00:00.000+02:00") == 0
    assert datetime_ms("2023-11-14T22:13:20Z") == 1_700_000_000_000
    for wrong in ("yesterday", "1969-12-31T23:59:59", "", "2023-13-01T00:00:00"):
        with pytest.raises(click.BadParameter):
            datetime_ms(wrong)


def test_durations_are_those_of_iso_8601():
    assert duration_ms("P1DT2H3M4.5S") == (((24 + 2) * 60 + 3) * 60 + 4) * 1_000 + 500
    assert duration_ms("PT0S") == 0
    assert duration_ms("P3D") == 3 * 86_400_000
    for wrong in ("P", "PT", "1D", "P1H", "PT-1S", "", "P1.5D"):
        with pytest.raises(click.BadParameter):
            duration_ms(wrong)


@given(
    offsets=st.dictionaries(
        st.builds(TopicPartition, st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True), st.integers(0, 99)),
        st.integers(0, 2**60),
        min_size=1,
    ),
    with_group=st.booleans(),
)
def test_what_is_exported_is_read_again(tmp_path_factory, offsets, with_group):
    file = tmp_path_factory.mktemp("offsets") / "offsets.csv"
    file.write_text(write_offsets("g", offsets.items(), with_group=with_group))
    assert read_offsets(file, "g") == offsets


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"t,0\n", "1: not topic,partition,offset"),
        (b"t,0,1\n\nt,zero,1\n", "3: not topic"),
        (b"t,0,-1\n", "not topic"),
        (b"other,t,0,1\n", "holds no offsets of group 'g'"),
        (b"", "holds no offsets"),
        (b"\xff\xfe", "decode"),
        (b'"t,0,1\n', "offsets.csv"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path, content, reason):
    file = tmp_path / "offsets.csv"
    file.write_bytes(content)
    with pytest.raises(click.BadParameter, match=reason):
        read_offsets(file, "g")


@pytest.mark.parametrize(
    "arguments",
    [
        ["reset-offsets", "g", "--topic", "t"],
        ["reset-offsets", "g", "--topic", "t", "--to-earliest", "--to-offset", "0"],
        ["reset-offsets", "g", "--to-earliest"],
        ["reset-offsets", "g", "--topic", "t", "--to-earliest", "--execute", "--dry-run"],
        ["reset-offsets", "g", "--topic", "t", "--to-offset", "-1"],
        ["reset-offsets", "g", "--topic", "t", "--shift-by", "x"],
        ["reset-offsets", "g", "--topic", "t", "--by-duration", "tomorrow"],
        ["reset-offsets", "g", "--from-file", "/nowhere"],
        ["reset-offsets"],
        ["describe", "--watch", "0"],
        ["delete"],
        ["delete-offsets", "g"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, capsys):
    assert main(["group", *arguments, "--bootstrap-server", "localhost:1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("option", [["--partition", "0"], ["--timestamp", "0"], ["--until-end"]])
def test_a_group_decides_where_it_reads(option, capsys):
    assert main(["consume", "t", "--group", "g", *option]) == 2
    assert "rk group reset-offsets" in capsys.readouterr().err
