"""`rk man`: the manual page of `rk`, made from the commands themselves, so that it is always of this version. Floor 5."""

from __future__ import annotations

from collections.abc import Iterator

import click

_EXITS = (
    ("0", "Done. Also of rk consume, rk up and whatever else follows or watches when Ctrl-C ends it."),
    ("1", "Failed; the last line on standard error says why."),
    ("2", "Wrong usage."),
    ("130", "Interrupted."),
)


@click.command()
def man() -> None:
    """Print this command's manual page.

    To read it: rk man | man -l -. To install it: rk man > ~/.local/share/man/man1/rk.1
    """
    import sys

    sys.stdout.write(page())


def page() -> str:
    """The page in roff (man(7))."""
    from raftkafka import __version__
    from raftkafka.cli.commands import root

    with click.Context(root, info_name="rk") as context:
        lines = [
            f'.TH RK 1 "" "raftkafka {_escaped(__version__)}" "raftkafka"',
            ".SH NAME",
            r"rk \- run and use a raftkafka cluster",
            ".SH SYNOPSIS",
            r".B rk",
            r".I COMMAND",
            r"[\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
            ".SH DESCRIPTION",
            _escaped(root.help or ""),
            ".SH COMMANDS",
            *_commands(root, context),
            ".SH EXIT STATUS",
        ]
    for code, meaning in _EXITS:
        lines += [".TP", f".B {code}", _escaped(meaning)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        ".B RK_BOOTSTRAP_SERVER",
        _escaped("What --bootstrap-server is without the option: host:port, comma separated."),
        ".SH SEE ALSO",
        _escaped("Kafka's scripts, which are installed beside rk: kafka-topics.sh --help and the others."),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    """Every command that can be run, groups before what is in them."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "the group has named it"
        with click.Context(command, info_name=name, parent=context) as inner:
            if isinstance(command, click.Group):
                yield from _commands(command, inner)
            elif not command.hidden:
                yield from _command(command, inner)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "{_escaped(context.command_path)} {_escaped(usage)}"'
    paragraphs = (command.help or "").replace("\b", "").strip().split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in parameter.opts:
            yield ".TP"
            yield f".B {_escaped(record[0])}"
            yield _escaped(" ".join(record[1].split()))


def _escaped(text: str) -> str:
    """Text of a line: no character of it means anything to roff."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped[:1] in {".", "'"} else escaped
