"""Every option of every command, with a value that it cannot have: exit code 2 and one line that names it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from raftkafka.cli.commands import root
from raftkafka.cli.main import main

HOSTILE = "soon\x1b[2J"
NO_SERVER = ("localhost:port", "localhost:99999", ":9092", "a:b:c", ",", "")
TEXT = (click.types.StringParamType, click.Path)


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(command, info_name=path[-1] if path else "rk")
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, (*path, name))


def options(*, text: bool) -> Iterator[tuple[str, ...]]:
    """The words of a command line up to the value of the option that comes last."""
    for path, command in commands(root):
        needed = [_fitting(each) for each in command.params if isinstance(each, click.Argument) and each.required]
        for each in command.params:
            if isinstance(each, click.Option) and not each.is_flag and isinstance(each.type, TEXT) is text:
                yield (*path, *needed, max(each.opts, key=len))


def _fitting(argument: click.Argument) -> str:
    return "1" if isinstance(argument.type, click.types.IntParamType) else "x"


TYPED = sorted(options(text=False))
SERVERS = sorted(each for each in options(text=True) if each[-1] == "--bootstrap-server")


def test_the_walk_sees_what_there_is() -> None:
    names = {each[-1] for each in TYPED}
    assert {"--partitions", "--acks", "--timeout-ms", "--offset", "--watch"} <= names
    assert len(SERVERS) > 20


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_a_value_of_another_type_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, HOSTILE]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line, end, rest = captured.err.partition("\n")
    assert (end, rest) == ("\n", "")
    assert line.startswith("rk: ")
    assert words[-1] in line
    assert line.isprintable(), "what was typed may not reach the terminal as a command"


@pytest.mark.parametrize("words", SERVERS, ids=" ".join)
def test_what_is_no_address_is_refused_before_anything_is_asked(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for address in NO_SERVER:
        code = main([*words, address])
        captured = capsys.readouterr()
        assert code in (1, 2), address
        assert captured.out == ""
        assert captured.err.startswith("rk: "), address
        assert captured.err.count("\n") == 1, address
