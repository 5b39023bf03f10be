"""Options as Kafka's tools read them. Floor 5, pure.

Kafka parses with jopt-simple: options have two dashes and no abbreviations, values follow a blank or `=`, and what is wrong is
said in the words below. A value may not look like an option of the same tool, which jopt would take for a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from raftkafka.model.errors import RaftKafkaError

_COLUMNS: Final = 40
_WIDTH: Final = 100


class UsageError(RaftKafkaError):
    """The command line cannot be meant like this; the message is Kafka's."""


@dataclass(frozen=True, slots=True)
class Option:
    """`argument` names the value, None for a flag; with `implied` the value may be left out and is that."""

    name: str
    help: str
    argument: str | None = None
    implied: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    summary: str
    options: tuple[Option, ...]
    takes_zookeeper: bool = False
    """Whether --zookeeper works, rather than being told what to write instead."""


class Parsed:
    """The options of one command line."""

    def __init__(
        self, tool: Tool, values: Mapping[str, Sequence[str]], others: Sequence[str], order: Sequence[str]
    ) -> None:
        self.tool = tool
        self.order = tuple(order)
        """The names of the options as they came, repeated ones included."""
        self.others = tuple(others)
        """Words that are no option. Kafka ignores them."""
        self._values = values

    def has(self, name: str) -> bool:
        return name in self._values

    def many(self, name: str) -> Sequence[str]:
        """Every value of an option that may be repeated."""
        return self._values.get(name, ())

    def text(self, name: str) -> str | None:
        """The value of an option that may be given once. Raises UsageError."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise UsageError(f"Found multiple arguments for option {name}, but you asked for only one")
        return values[0]

    def needed(self, name: str) -> str:
        """The value of an option that `check_required` has seen."""
        value = self.text(name)
        assert value is not None, f"--{name} was not checked"
        return value

    def number(self, name: str) -> int | None:
        """The value of an option that is a whole number. Raises UsageError."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise UsageError(f"Cannot parse argument '{value}' of option {name}") from None

    def check_required(self, *names: str) -> None:
        for name in names:
            if not self.has(name):
                raise UsageError(f'Missing required argument "[{name}]"')

    def check_apart(self, name: str, others: Iterable[str]) -> None:
        """`name` cannot stand beside any of the others."""
        for other in others if self.has(name) else ():
            if self.has(other):
                raise UsageError(f'Option "[{name}]" can\'t be used with option "[{other}]"')


def parse(tool: Tool, arguments: Sequence[str]) -> Parsed:
    """Read a command line. Raises UsageError."""
    known = {option.name: option for option in tool.options}
    values: dict[str, list[str]] = {}
    others: list[str] = []
    order: list[str] = []
    words = list(reversed(arguments))
    while words:
        word = words.pop()
        if word == "--":
            others += reversed(words)
            break
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        option = known.get(name) if word.startswith("--") else None
        if option is None:
            raise UsageError(f"{name or word} is not a recognized option")
        values.setdefault(name, []).append(_value(option, value if equals else None, words, known))
        order.append(name)
    return Parsed(tool, values, others, order)


def _value(option: Option, attached: str | None, words: list[str], known: Mapping[str, Option]) -> str:
    if option.argument is None:
        if attached is not None:
            raise UsageError(f"Option {option.name} does not take an argument")
        return ""
    if attached is not None:
        return attached
    following = words[-1] if words else None
    if option.implied is not None:
        return words.pop() if following is not None and not following.startswith("-") else option.implied
    if following is None or (following.startswith("--") and following[2:].partition("=")[0] in known):
        raise UsageError(f"Option {option.name} requires an argument")
    return words.pop()


def help_text(tool: Tool) -> str:
    """What --help prints."""
    import textwrap

    lines = [tool.summary, "Option".ljust(_COLUMNS) + " Description", "------".ljust(_COLUMNS) + " -----------"]
    for option in sorted(tool.options, key=lambda each: each.name):
        argument = f" <{option.argument}>" if option.argument else ""
        left = textwrap.wrap(f"--{option.name}{argument}", _COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
        right = textwrap.wrap(option.help, _WIDTH - _COLUMNS - 1, subsequent_indent="  ", break_on_hyphens=False)
        for number in range(max(len(left), len(right))):
            one = left[number] if number < len(left) else ""
            other = right[number] if number < len(right) else ""
            lines.append(f"{one:<{_COLUMNS}} {other}".rstrip())
    return "\n".join(lines) + "\n"
