import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/b", "/a.b", "/..a", "/a..", "/.a./b", "/ a", "/ü", "/a/...", "/\u2028", "/\uf900", "/\uffef"],
)
def test_what_may_name_a_node(path: str) -> None:
    assert paths.path_problem(path) is None
    paths.validate_path(path)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "it does not start with /"),
        ("a/b", "it does not start with /"),
        ("//", "it ends with /"),
        ("/a/", "it ends with /"),
        ("/a//b", "a name in it is empty"),
        ("/.", "it is relative"),
        ("/..", "it is relative"),
        ("/a/./b", "it is relative"),
        ("/a/../b", "it is relative"),
        ("/a\0", "character 2 is not allowed"),
        ("/\x1f", "character 1 is not allowed"),
        ("/\x7f", "character 1 is not allowed"),
        ("/\x9f", "character 1 is not allowed"),
        ("/\ud800", "character 1 is not allowed"),
        ("/\uf8ff", "character 1 is not allowed"),
        ("/\uffff", "character 1 is not allowed"),
        ("/\U0001f600", "character 1 is not allowed"),
    ],
)
def test_what_may_not_and_why(path: str, problem: str) -> None:
    assert paths.path_problem(path) == problem
    with pytest.raises(ZkError) as refused:
        paths.validate_path(path)
    assert refused.value.code is ZkErrorCode.BADARGUMENTS


def test_a_sequential_node_may_have_a_number_for_a_name() -> None:
    paths.validate_path("/locks/", sequential=True)
    paths.validate_path("/", sequential=True)
    with pytest.raises(ZkError):
        paths.validate_path("/locks//", sequential=True)


_NAMES = st.text("ab.-_ü0", min_size=1, max_size=5).filter(lambda name: name not in {".", ".."})


@given(st.lists(_NAMES, min_size=1, max_size=5))
def test_parent_and_name_take_apart_what_join_puts_together(names: list[str]) -> None:
    path = paths.ROOT
    for number, name in enumerate(names, start=1):
        path, above = paths.join(path, name), path
        assert paths.path_problem(path) is None
        assert (paths.parent(path), paths.name(path), paths.depth(path)) == (above, name, number)


def test_the_root_is_its_own_parent() -> None:
    assert (paths.parent("/"), paths.name("/"), paths.depth("/")) == ("/", "", 0)


def test_numbers_of_sequential_nodes_have_ten_digits() -> None:
    assert paths.sequential_path("/a/lock-", 7) == "/a/lock-0000000007"
    assert paths.sequential_path("/a/lock-", 2**31 - 1) == "/a/lock-2147483647"
    assert paths.sequential_path("/a/lock-", -(2**31)) == "/a/lock--2147483648"
    assert paths.sequential_path("/a/lock-", -1) == "/a/lock--000000001"
