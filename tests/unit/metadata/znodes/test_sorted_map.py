"""The persistent map: equal to a dict after any changes, and older ones stay as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.metadata.znodes.sorted_map import CHUNK_MAX, SortedMap

KEYS = st.integers(0, 3_000)


@given(
    begin=st.dictionaries(KEYS, st.integers()),
    steps=st.lists(st.tuples(KEYS, st.none() | st.integers()), max_size=60),
    low=KEYS,
    high=KEYS,
)
def test_it_is_a_dict_in_order(begin, steps, low, high):
    model, made = dict(begin), SortedMap(begin.items())
    for key, value in steps:
        before, then = made, dict(model)
        if value is None:
            model.pop(key, None)
            made = made.without(key)
        else:
            model[key] = value
            made = made.put(key, value)
        assert list(before.items()) == sorted(then.items())
        assert (key in made, made.get(key, "none")) == (key in model, model.get(key, "none"))
    assert list(made.items()) == sorted(model.items())
    assert len(made) == len(model)
    assert made == model
    assert list(made.between(low, high)) == sorted((key, value) for key, value in model.items() if low <= key < high)
    assert made.count_between(low, high) == len(list(made.between(low, high)))


def test_chunks_are_cut_when_they_are_full_and_joined_when_they_have_emptied():
    made = SortedMap[int, int]()
    for key in range(10_000):
        made = made.put(key * 7 % 10_000, key)
    assert list(made) == list(range(10_000))
    assert max(map(len, made._keys)) <= CHUNK_MAX
    assert len(made._keys) <= 4 * 10_000 // CHUNK_MAX
    for key in range(10_000):
        if key % 100:
            made = made.without(key)
    assert list(made) == list(range(0, 10_000, 100))
    assert len(made._keys) < 10


def test_what_is_not_there():
    empty = SortedMap[str, int]()
    assert empty.without("a") is empty
    one = empty.put("b", 1)
    assert one.without("a") is one
    assert one.without("c") is one
    assert one.without("b") == {}
    assert list(one.between("c", "d")) == list(one.between("a", "b")) == []
    assert one.count_between("c", "d") == one.count_between("a", "b") == empty.count_between("a", "b") == 0
