"""What is wrong with `server.properties` files, each by itself and all together: everything at once, where `load` stops at the first.

Floor 0. The files may be Kafka's own, of any version. What two brokers must not have in common (their ids, the addresses that they
advertise) is only seen with the files side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings import kafka_keys
from raftkafka.model.settings.keys import BY_NAME
from raftkafka.model.settings.load import is_known, load, nearest
from raftkafka.model.settings.parsers import split_list
from raftkafka.model.settings.properties import Property, parse
from raftkafka.model.settings.validate import check_exposure


class Level(Enum):
    """ERROR: a node does not start with it, or not beside the others. WARNING: it will surprise. NOTE: for those who wonder."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`line` counts from 1; 0 where no line is to blame."""

    file: str
    line: int
    level: Level
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.level.value}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    found: dict[str, Property]

    @property
    def broker(self) -> str:
        """How messages name its broker."""
        given = self.found.get("broker.id") or self.found.get("node.id")
        return f"broker {given.value}" if given is not None and given.value else f"the broker of {self.name}"


_PLACE: Final = re.compile(r":(?P<line>\d+): (?P<text>.*)", re.DOTALL)
_ENDPOINT: Final = re.compile(r"[^:/\s,]*://(?P<host>.*):(?P<port>\d+)")
_ZOOKEEPER: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?")
_EVERY_INTERFACE: Final = ("", "0.0.0.0", "[::]", "::")
_AT_BOOT: Final = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - whoever keeps a log there is told
_EVEN_IF_EXPOSED: Final = "\nallow.insecure.listeners=true\n"


def lint(files: Sequence[tuple[str, str]]) -> list[Finding]:
    """What is wrong with these files, given as names and texts; in the order of files and lines."""
    findings: list[Finding] = []
    read: list[_File] = []
    for name, text in files:
        try:
            properties = parse(text, source=name)
        except ConfigurationError as error:
            findings.append(_placed(name, Level.ERROR, str(error)))
            continue
        file = _File(name=name, found={each.key: each for each in properties})
        read.append(file)
        own = [*_of_keys(file), *_of_zookeeper(file), *_of_places(file)]
        if not any(each.level is Level.ERROR for each in own):
            own += _of_the_whole(name, text)
        findings += own
    findings += [*_same_ids(read), *_same_addresses(read), *_other_voters(read)]
    order = {name: at for at, (name, _) in enumerate(files)}
    return sorted(dict.fromkeys(findings), key=lambda each: (order[each.file], each.line))


# One file


def _of_keys(file: _File) -> Iterator[Finding]:
    for name, found in file.found.items():
        if not is_known(name):
            yield _at(file, found, Level.ERROR, f"unknown key '{name}'{nearest(name)}")
        elif name in kafka_keys.REFUSED and found.value:
            yield _at(file, found, Level.ERROR, f"{name}: {kafka_keys.REFUSED[name]}")
        elif name in BY_NAME:
            try:
                BY_NAME[name].parse(found.value)
            except ValueError as error:
                yield _at(file, found, Level.ERROR, f"{name}: {error}")


def _of_zookeeper(file: _File) -> Iterator[Finding]:
    """`zookeeper.connect` is read as Kafka reads it: blanks do not count, a chroot may stand at the end."""
    found = file.found.get("zookeeper.connect")
    if found is None or not found.value:
        return
    text, slash, path = found.value.partition("/")
    servers = split_list(text)
    for server in servers:
        match = _ZOOKEEPER.fullmatch(server)
        if match is None or not 0 < int(match["port"] or 2181) < 1 << 16:
            yield _at(file, found, Level.ERROR, f"zookeeper.connect: {server!r} is not of the form host:port")
    if not servers:
        yield _at(file, found, Level.ERROR, "zookeeper.connect: names no server")
    blanks = ", the blanks do not count" if re.search(r"\s", found.value) else ""
    chroot = f", chroot {slash}{path.strip()}" if slash else ""
    servers_text = "1 server" if len(servers) == 1 else f"{len(servers)} servers"
    yield _at(file, found, Level.NOTE, f"zookeeper.connect: accepted, {servers_text}{chroot}{blanks}")


def _of_places(file: _File) -> Iterator[Finding]:
    for name in ("log.dirs", "log.dir", "metadata.log.dir"):
        found = file.found.get(name)
        for directory in split_list(found.value) if found is not None else ():
            if f"{directory}/".startswith(_AT_BOOT):
                assert found is not None
                yield _at(file, found, Level.WARNING, f"{name}: {directory} may be emptied at every boot")


def _of_the_whole(name: str, text: str) -> Iterator[Finding]:
    """What only the whole of a file tells; each of its keys is fine."""
    given = {each.key: each for each in parse(text, source=name)}
    asked = "allow.insecure.listeners" in given
    try:
        loaded = load(text if asked else text + _EVEN_IF_EXPOSED, source=name)
    except ConfigurationError as error:
        yield _placed(name, Level.ERROR, str(error))
        return
    for note in loaded.notes:
        yield _placed(name, Level.NOTE, note)
    if not asked:
        for key, problem in check_exposure(replace(loaded.settings, allow_insecure_listeners=False)):
            yield Finding(file=name, line=given[key].line if key in given else 0, level=Level.WARNING, text=problem)


# All files


def _same_ids(files: Sequence[_File]) -> Iterator[Finding]:
    first: dict[str, tuple[_File, Property]] = {}
    for file in files:
        found = file.found.get("broker.id") or file.found.get("node.id")
        if found is None or not found.value.isdecimal():
            continue
        other, there = first.setdefault(str(int(found.value)), (file, found))
        if other is not file:
            text = f"{found.key}={found.value} is the id of another broker too ({other.name}:{there.line})"
            yield _at(file, found, Level.ERROR, text)


def _same_addresses(files: Sequence[_File]) -> Iterator[Finding]:
    first: dict[tuple[str, int], tuple[_File, Property]] = {}
    for file in files:
        found = file.found.get("advertised.listeners")
        if found is None or not found.value:
            found = file.found.get("listeners")
        for host, port in _endpoints(found.value) if found is not None else ():
            assert found is not None
            other, there = first.setdefault((host, port), (file, found))
            if other is not file:
                yield _at(
                    file,
                    found,
                    Level.ERROR,
                    f"{found.key}: {file.broker} advertises {host}:{port}, which {other.broker} advertises already "
                    f"({other.name}:{there.line})",
                )


def _endpoints(text: str) -> Iterator[tuple[str, int]]:
    """The addresses that clients would be told, also where Markdown surrounds them."""
    for part in split_list(text.replace("*", "")):
        match = _ENDPOINT.fullmatch(part)
        if match is not None and match["host"] not in _EVERY_INTERFACE and len(match["port"]) <= 5:
            yield match["host"].lower(), int(match["port"])


def _other_voters(files: Sequence[_File]) -> Iterator[Finding]:
    voters = [
        (file, file.found["controller.quorum.voters"]) for file in files if "controller.quorum.voters" in file.found
    ]
    for file, found in voters[1:]:
        before, there = voters[0]
        if set(split_list(found.value)) != set(split_list(there.value)):
            text = f"controller.quorum.voters: differs from {before.name}:{there.line}: these nodes form no cluster"
            yield _at(file, found, Level.ERROR, text)


def _at(file: _File, found: Property, level: Level, text: str) -> Finding:
    return Finding(file=file.name, line=found.line, level=level, text=text)


def _placed(name: str, level: Level, message: str) -> Finding:
    """A finding from a message of `load`, which begins with file and line."""
    match = _PLACE.fullmatch(message.removeprefix(name))
    if match is None:
        return Finding(file=name, line=0, level=level, text=message.removeprefix(f"{name}: "))
    return Finding(file=name, line=int(match["line"]), level=level, text=match["text"])
