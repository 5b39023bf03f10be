"""Values of the API from their types: what is taken from JSON or a query, what is written, and the JSON schema of it. Floor 4, pure.

A value is a frozen dataclass of `str`, `int`, `float`, `bool`, `None`, literals, tuples, mappings by name, and other such classes. Whatever
comes from outside is taken strictly: no unknown names, no numbers for texts, no texts that are no UTF-8.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

INT64_MAX: Final = (1 << 63) - 1
_T = TypeVar("_T")


class Range(NamedTuple):
    """Bounds of a number, both inclusive."""

    least: int = 0
    most: int = INT64_MAX


class Size(NamedTuple):
    """Bounds of the length of a text or a list, both inclusive."""

    least: int = 0
    most: int = 1_000


class Says(NamedTuple):
    """What a field means, for readers of the document."""

    text: str


Natural = Annotated[int, Range()]


class InvalidValueError(Exception):
    """The message says where and what, in one line."""


class Member(NamedTuple):
    """A field of a value. `name` is the one outside: `from_` is `from`."""

    name: str
    field: str
    kind: Any
    required: bool
    default: Any
    """None too where there is no simple one."""


def members(kind: Any) -> tuple[Member, ...]:
    """The fields of a class of values, in their order."""
    return _members(kind)


@cache
def _members(kind: Any) -> tuple[Member, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        [
            Member(
                each.name.rstrip("_"),
                each.name,
                hints[each.name],
                _is_required(each),
                None if each.default is MISSING else each.default,
            )
            for each in fields(kind)
        ]
    )


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


# From outside


def parse(kind: type[_T], value: object, where: str = "body") -> _T:
    """The value that this JSON stands for.

    Raises:
        InvalidValueError: it is none of that kind.
    """
    return cast(_T, _parse(kind, value, where))


def parse_query(kind: type[_T], pairs: Iterable[tuple[str, str]]) -> _T:
    """The value that a query stands for; each name at most once.

    Raises:
        InvalidValueError: there is no such name, or its text is not of its kind.
    """
    known = {member.name: member for member in members(kind)}
    found: dict[str, object] = {}
    for name, text in pairs:
        if name not in known:
            raise InvalidValueError(f"query: there is no {_short(name)}; known are {', '.join(known) or 'no names'}")
        if name in found:
            raise InvalidValueError(f"query: {name} is there twice")
        found[name] = from_text(known[name].kind, text)
    return parse(kind, found, "query")


def from_text(kind: Any, text: str) -> object:
    plain = _plain(kind)
    for choice in get_args(plain) if _is_union(plain) else (plain,):
        choice = _plain(choice)  # noqa: PLW2901
        if choice is bool and text in {"true", "false"}:
            return text == "true"
        # No underscores, spaces or digits of other scripts, which int() would take.
        if choice is int and text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20:
            return int(text)
    return text


def _parse(kind: Any, value: object, where: str) -> object:
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        parsed = _parse(plain, value, where)
        for note in notes:
            _check(note, parsed, where)
        return parsed
    if is_dataclass(kind):
        return _parse_object(cast(type, kind), value, where)
    if _is_union(kind):
        return _parse_union(kind, value, where)
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind) or isinstance(value, bool):
            raise InvalidValueError(f"{where}: has to be one of {', '.join(map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InvalidValueError(f"{where}: has to be a list")
        items = get_args(kind)
        if items[-1] is ...:
            return tuple([_parse(items[0], each, f"{where}[{number}]") for number, each in enumerate(value)])
        if len(value) != len(items):
            raise InvalidValueError(f"{where}: has to have {len(items)} elements")
        return tuple(
            [
                _parse(item, each, f"{where}[{number}]")
                for number, (item, each) in enumerate(zip(items, value, strict=True))
            ]
        )
    if origin is Mapping or origin is dict:
        if not isinstance(value, dict):
            raise InvalidValueError(f"{where}: has to be an object")
        item = get_args(kind)[1]
        return {_parse(str, name, where): _parse(item, each, f"{where}.{_short(name)}") for name, each in value.items()}
    return _parse_simple(kind, value, where)


def _parse_simple(kind: Any, value: object, where: str) -> object:
    if kind is type(None):
        if value is not None:
            raise InvalidValueError(f"{where}: has to be null")
    elif kind is bool:
        if not isinstance(value, bool):
            raise InvalidValueError(f"{where}: has to be true or false")
    elif kind is int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValueError(f"{where}: has to be a whole number")
        if not -INT64_MAX - 1 <= value <= INT64_MAX:
            raise InvalidValueError(f"{where}: is beyond 64 bits")
    elif kind is str:
        if not isinstance(value, str):
            raise InvalidValueError(f"{where}: has to be a text")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise InvalidValueError(f"{where}: is no text that UTF-8 can express") from error
    else:
        raise AssertionError(f"values of {kind} do not come from outside")
    return value


def _parse_object(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise InvalidValueError(f"{where}: has to be an object")
    known = members(kind)
    names = {member.name for member in known}
    for name in value:
        if name not in names:
            raise InvalidValueError(
                f"{where}: there is no {_short(name)}; known are {', '.join(sorted(names)) or 'no names'}"
            )
    arguments: dict[str, object] = {}
    for member in known:
        if member.name in value:
            arguments[member.field] = _parse(member.kind, value[member.name], f"{where}.{member.name}")
        elif member.required:
            raise InvalidValueError(f"{where}: {member.name} is missing")
    return kind(**arguments)


def _parse_union(kind: Any, value: object, where: str) -> object:
    choices = get_args(kind)
    if value is None and type(None) in choices:
        return None
    others = [each for each in choices if each is not type(None)]
    for choice in others[:-1]:
        try:
            return _parse(choice, value, where)
        except InvalidValueError:
            continue
    return _parse(others[-1], value, where)


def _check(note: object, value: object, where: str) -> None:
    if isinstance(note, Range) and isinstance(value, int) and not note.least <= value <= note.most:
        raise InvalidValueError(f"{where}: has to be from {note.least} to {note.most}")
    if isinstance(note, Size) and isinstance(value, str | tuple | dict) and not note.least <= len(value) <= note.most:
        raise InvalidValueError(f"{where}: its length has to be from {note.least} to {note.most}")


def _short(name: str) -> str:
    return ascii(name if len(name) <= 60 else f"{name[:60]}...")


# To outside


def as_json(value: object) -> object:
    """What `json.dumps` takes, of a value of the API."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [as_json(each) for each in value]
    if isinstance(value, Mapping):
        return {name: as_json(each) for name, each in value.items()}
    return {member.name: as_json(getattr(value, member.field)) for member in members(type(value))}


# The document


def schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a kind; those of classes are put into `components` and referred to."""
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        found = schema(plain, components)
        for note in notes:
            found = _with_note(found, note)
        return found
    if is_dataclass(kind):
        name = cast(type, kind).__name__
        if name not in components:
            components[name] = {}  # first, so that a class may contain itself
            components[name] = _object_schema(cast(type, kind), components)
        return {"$ref": f"#/components/schemas/{name}"}
    if _is_union(kind):
        return _union_schema(kind, components)
    origin = get_origin(kind)
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is tuple:
        items = [schema(each, components) for each in get_args(kind) if each is not ...]
        if ... in get_args(kind):
            return {"type": "array", "items": items[0]}
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is Mapping or origin is dict:
        return {"type": "object", "additionalProperties": schema(get_args(kind)[1], components)}
    if kind is int:
        return {"type": "integer", "format": "int64"}
    return {"type": {str: "string", bool: "boolean", float: "number", type(None): "null"}[kind]}


def _object_schema(kind: type, components: dict[str, Any]) -> dict[str, Any]:
    known = members(kind)
    found: dict[str, Any] = {
        "type": "object",
        "properties": {member.name: schema(member.kind, components) for member in known},
        "required": [member.name for member in known if member.required],
        "additionalProperties": False,
    }
    if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
        found["description"] = " ".join(kind.__doc__.split())
    return found


def _union_schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    choices = [schema(each, components) for each in get_args(kind)]
    if all(set(each) <= {"type", "format"} for each in choices):
        merged: dict[str, Any] = {}
        for each in choices:
            merged |= each
        return {**merged, "type": [each["type"] for each in choices]}
    return {"anyOf": choices}


def _with_note(found: dict[str, Any], note: object) -> dict[str, Any]:
    match note:
        case Range(least, most):
            # Beyond 2^53 a reader in JavaScript would not see the number that stands here.
            return {**found, "minimum": least, **({} if most == INT64_MAX else {"maximum": most})}
        case Size(least, most):
            return _sized(found, least, most)
        case Says(text):
            return {**found, "description": text}
    return found


def _sized(found: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    if "anyOf" in found:
        return {**found, "anyOf": [_sized(each, least, most) for each in found["anyOf"]]}
    kinds = found.get("type", [])
    bounds: dict[str, Any] = {}
    for kind, what in (("string", "Length"), ("array", "Items"), ("object", "Properties")):
        if kind == kinds or (isinstance(kinds, list) and kind in kinds):
            bounds |= {f"min{what}": least, f"max{what}": most}
    return {**found, **bounds}


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, types.UnionType}


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
