"""Values made by a call that runs no Python code, against the same classes made in the general way."""

from __future__ import annotations

import contextlib
import copy
import datetime
import gc
import importlib.util
import pickle
import sys
import weakref
from dataclasses import MISSING, InitVar, dataclass, field, fields, replace
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from raftkafka.model import passing
from raftkafka.model.passing import passing_tuple, passing_value

needs_compiler = pytest.mark.skipif(not passing.IS_COMPILED, reason="no compiler was there")


@passing_value
class Quick:
    number: int
    name: str = "none"
    parts: tuple[int, ...]
    more: object = None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class General:
    number: int
    name: str = "none"
    parts: tuple[int, ...]
    more: object = None


@passing_tuple
class QuickTuple(NamedTuple):
    number: int
    name: str
    more: object = None


class GeneralTuple(NamedTuple):
    number: int
    name: str
    more: object = None


class Marker:
    """Something that a weak reference may point at."""


PAIRS: list[tuple[Any, Any]] = [(Quick, General), (QuickTuple, GeneralTuple)]
GIVEN = {"number": 7, "name": "seven", "parts": (1, 2), "more": [3]}
CALLS: list[tuple[tuple[object, ...], dict[str, object]]] = [
    ((), {name: GIVEN[name] for name in names}) for count in range(5) for names in permutations(GIVEN, count)
]
CALLS += [((1,), {"name": "a"}), ((1, "a"), {}), ((1, "a", None), {}), ((1, "a", None, 4), {}), ((1,), {"number": 1})]
CALLS += [((), {**GIVEN, "unknown": 1}), ((), {"number": 1, "parts": (), "unknown": 1}), ((1, 2, 3, 4, 5), {})]


def apart(name: str) -> str:
    """The same name, but not the same object as every other one of it."""
    return "".join(list(name))


def outcome(cls: Any, arguments: tuple[object, ...], named: dict[str, object]) -> object:
    try:
        made = cls(*arguments, **named)
    except TypeError as error:
        return str(error).replace("Quick", "General")
    assert type(made) is cls
    return tuple(made) if isinstance(made, tuple) else tuple(getattr(made, one.name) for one in fields(made))


@pytest.mark.parametrize(("quick", "general"), PAIRS)
def test_every_call_has_the_outcome_of_the_general_way(quick: Any, general: Any) -> None:
    for arguments, named in CALLS:
        assert outcome(quick, arguments, named) == outcome(general, arguments, named)


@pytest.mark.parametrize(("quick", "general"), PAIRS)
def test_names_that_are_not_interned_are_names_all_the_same(quick: Any, general: Any) -> None:
    named = {apart("number"): 1, apart("name"): "a", apart("more"): 2}
    if quick is Quick:
        named[apart("parts")] = ()
    assert outcome(quick, (), named) == outcome(general, (), named)


def test_values_are_copied_compared_and_pickled() -> None:
    for made in (Quick(number=1, parts=(2,)), QuickTuple(1, "a")):
        assert copy.copy(made) == made
        assert pickle.loads(pickle.dumps(made)) == made
        assert hash(copy.copy(made)) == hash(made)
    assert replace(Quick(number=1, parts=(2,)), number=3) == Quick(number=3, parts=(2,))
    assert QuickTuple(1, "a")._replace(number=2) == (2, "a", None)


@needs_compiler
def test_a_call_runs_no_code_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    @passing_value
    class Watched:
        number: int

    def fail(self: object, **_: object) -> None:
        raise AssertionError("this was the general way")

    monkeypatch.setattr(Watched, "__init__", fail)
    assert Watched(number=1).number == 1


def test_a_class_whose_init_does_more_keeps_it() -> None:
    @passing_value
    class Lists:
        number: int
        each: list[int] = field(default_factory=list)

    @passing_value
    class Doubles:
        number: int

        def __post_init__(self) -> None:
            self.number *= 2  # type: ignore[misc]

    assert Lists(number=1).each is not Lists(number=1).each
    assert Doubles(number=2).number == 4


def test_arguments_that_are_no_fields_and_methods_written_by_hand_are_heeded() -> None:
    @passing_value
    class ByHand:
        number: int

        def __init__(self, *, number: int) -> None:
            object.__setattr__(self, "number", -number)

    @passing_value
    class Extra:
        number: int
        unused: InitVar[int] = 0

    @passing_value
    class Sets:
        number: int

        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name, repr(value))

    assert ByHand(number=1).number == -1
    assert Extra(number=1, unused=2).number == 1
    assert Sets(number=1).number == "1"


def test_a_value_derived_from_a_value_has_the_fields_of_both() -> None:
    @passing_value
    class Longer(Quick):
        length: int = 9

    made = Longer(parts=(1,), number=2)
    assert (made.number, made.name, made.parts, made.more, made.length) == (2, "none", (1,), None, 9)
    with pytest.raises(TypeError, match="length"):
        Quick(number=1, parts=(), length=3)  # type: ignore[call-arg]


def test_what_derives_from_a_named_tuple_makes_itself() -> None:
    @passing_tuple
    class Doubled(QuickTuple):
        def __new__(cls, number: int) -> Doubled:  # type: ignore[misc]
            return super().__new__(cls, number * 2, "doubled")

    assert Doubled(2) == (4, "doubled", None)  # type: ignore[call-arg]
    assert type(Doubled(2)) is Doubled  # type: ignore[call-arg]


@needs_compiler
def test_a_class_that_lost_its_layout_is_made_in_the_general_way() -> None:
    class Taker:
        """Takes the layout away while an object is being made, where a collection may run then."""

        def __init__(self, cls: Any) -> None:
            self.cls, self.me = cls, self

        def __del__(self) -> None:
            with contextlib.suppress(AttributeError):
                del self.cls.__passing_layout__

    for foreign in (None, 3, datetime.datetime_CAPI):
        for _ in range(50):

            @passing_value
            class Losing:
                number: int
                more: object = None

            Taker(Losing)
            thresholds = gc.get_threshold()
            gc.set_threshold(1)
            try:
                made = [Losing(number=at, more=[at]) for at in range(20)]
            finally:
                gc.set_threshold(*thresholds)
            assert [one.number for one in made] == list(range(20))
        gc.collect()
        assert not hasattr(Losing, "__passing_layout__")
        assert Losing(number=1) == Losing(number=1, more=None)
        Losing.__passing_layout__ = foreign  # type: ignore[attr-defined]
        if foreign is datetime.datetime_CAPI:
            with pytest.raises(ValueError, match="PyCapsule"):
                Losing(number=1)
        else:
            assert Losing(number=1).number == 1


def test_a_class_that_is_gone_takes_its_layout_with_it() -> None:
    marker = Marker()
    gone = weakref.ref(marker)

    @passing_value
    class Short:
        more: object = marker

    made = Short()
    assert made.more is marker
    del Short, marker, made
    gc.collect()
    assert gone() is None


def test_without_the_compiled_module_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raftkafka.model._passing", None)  # as if it had not been built
    spec = importlib.util.spec_from_file_location("passing_without", passing.__file__)
    assert spec is not None
    assert spec.loader is not None
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    assert not without.IS_COMPILED

    class Pair(NamedTuple):
        number: int
        name: str = "none"

    class Value:
        number: int
        name: str = "none"

    value, pair = without.passing_value(Value), without.passing_tuple(Pair)
    assert value(number=1) == value(number=1, name="none")
    assert pair(1) == (1, "none")
    with pytest.raises(TypeError):
        value()


def test_a_class_derived_from_one_is_made_by_its_own_rules() -> None:
    class More(Quick):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(number=1, parts=())
            self.more = "by its own init"

    assert More().more == "by its own init"


def test_the_collector_finds_what_refers_to_itself() -> None:
    gc.collect()
    for cls, named in ((Quick, {"number": 1, "parts": ()}), (QuickTuple, {"number": 1, "name": "a"})):
        ring: list[object] = []
        ring.append(cls(**named, more=ring))
    del ring
    assert gc.collect() >= 2


@pytest.mark.parametrize("cls", [Quick, QuickTuple])
def test_nothing_is_kept_nor_given_back_twice(cls: Any) -> None:
    more = object()
    rest = {"number": 1, "parts": ()} if cls is Quick else {"number": 1, "name": "a"}
    cls(**rest, more=more)
    before = sys.getrefcount(more)
    for _ in range(100):
        cls(**rest, more=more)
        with pytest.raises(TypeError):
            cls(more=more)
        with pytest.raises(TypeError):
            cls(**rest, more=more, unknown=more)
    assert sys.getrefcount(more) == before


@needs_compiler
def test_other_classes_are_refused() -> None:
    class Plain:
        number: int

    for cls in (Plain, int, Quick):
        with pytest.raises(TypeError, match="not a class of this kind"):
            passing.quicken(cls, ("number",), 0, (MISSING,), MISSING)

    class Slotted:
        __slots__ = ("number",)

    for names, positional, defaults in (
        (("number",), 2, (MISSING,)),
        (("number",), 0, ()),
        ((), 0, ()),
        ((1,), 0, (MISSING,)),
        ((apart("number"),), 0, (MISSING,)),
    ):
        with pytest.raises(TypeError):
            passing.quicken(Slotted, names, positional, defaults, MISSING)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is not a slot"):
        passing.quicken(Slotted, ("__doc__",), 0, (MISSING,), MISSING)
