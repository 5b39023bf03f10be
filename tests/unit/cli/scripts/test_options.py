"""The command lines of Kafka's tools: what jopt-simple reads, and its words for what cannot be read."""

from __future__ import annotations

import pytest

from raftkafka.cli.scripts.options import Option, Parsed, Tool, UsageError, help_text, parse

TOOL = Tool(
    name="kafka-some.sh",
    summary="This tool helps.",
    options=(
        Option("list", "List all."),
        Option("topic", "The topic.", "topic"),
        Option("partitions", "How many.", "number"),
        Option("property", "May be repeated.", "key=value"),
        Option("compression-codec", "The codec.", "codec", "gzip"),
    ),
)


def read(*words: str) -> Parsed:
    return parse(TOOL, words)


def test_values_follow_a_blank_or_an_equals_sign() -> None:
    parsed = read("--topic", "a", "--partitions=3", "--list", "--property", "x=1", "--property=y=2")
    assert parsed.has("list")
    assert parsed.text("topic") == "a"
    assert parsed.number("partitions") == 3
    assert list(parsed.many("property")) == ["x=1", "y=2"]
    assert not parsed.has("compression-codec")
    assert parsed.text("compression-codec") is None


def test_a_value_that_may_be_left_out() -> None:
    assert read("--compression-codec", "--list").text("compression-codec") == "gzip"
    assert read("--compression-codec", "zstd").text("compression-codec") == "zstd"
    assert read("--compression-codec").text("compression-codec") == "gzip"


def test_negative_numbers_and_values_that_begin_with_a_dash() -> None:
    assert read("--partitions", "-1").number("partitions") == -1
    assert read("--topic", "-t").text("topic") == "-t"


def test_words_that_are_no_option() -> None:
    assert read("a", "--list", "b", "--", "--topic").others == ("a", "b", "--topic")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frob"], "frob is not a recognized option"),
        (["--top", "a"], "top is not a recognized option"),
        (["-list"], "list is not a recognized option"),
        (["--topic"], "Option topic requires an argument"),
        (["--topic", "--list"], "Option topic requires an argument"),
        (["--list=yes"], "Option list does not take an argument"),
    ],
)
def test_what_cannot_be_read(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(*words)
    assert str(refused.value) == message


def test_values_that_are_wrong() -> None:
    with pytest.raises(UsageError, match="Cannot parse argument 'x' of option partitions"):
        read("--partitions", "x").number("partitions")
    with pytest.raises(UsageError, match="Found multiple arguments for option topic"):
        read("--topic", "a", "--topic", "b").text("topic")


def test_options_that_are_needed_or_exclude_each_other() -> None:
    parsed = read("--topic", "a", "--list")
    parsed.check_required("topic", "list")
    parsed.check_apart("topic", ["partitions"])
    with pytest.raises(UsageError, match=r'Missing required argument "\[partitions\]"'):
        parsed.check_required("topic", "partitions")
    with pytest.raises(UsageError, match=r"Option \"\[topic\]\" can't be used with option \"\[list\]\""):
        parsed.check_apart("topic", ["partitions", "list"])


def test_the_help_names_every_option() -> None:
    text = help_text(TOOL)
    assert text.startswith("This tool helps.\n")
    for option in TOOL.options:
        assert f"--{option.name}" in text
    assert max(map(len, text.splitlines())) <= 100
