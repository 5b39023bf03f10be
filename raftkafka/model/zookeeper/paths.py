"""Paths of nodes, by the rules of ZooKeeper's `PathUtils`.

Floor 0. Invariant: a path that `path_problem` has nothing against is "/" or segments that are not empty, not "." and not "..".
"""

from __future__ import annotations

import re
from typing import Final

from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode

ROOT: Final = "/"
# ZooKeeper counts UTF-16 units, so whatever needs two of them is a surrogate and refused.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]")
_SEQUENCE_DIGITS: Final = 10


def path_problem(path: str) -> str | None:
    """What is wrong with `path` in one clause; None when it may name a node."""
    if not path.startswith("/"):
        return "it does not start with /"
    if path == ROOT:
        return None
    if path.endswith("/"):
        return "it ends with /"
    if found := _FORBIDDEN.search(path):
        return f"character {found.start()} is not allowed"
    for segment in path[1:].split("/"):
        if not segment:
            return "a name in it is empty"
        if segment in {".", ".."}:
            return "it is relative"
    return None


def validate_path(path: str, *, sequential: bool = False) -> None:
    """Refuse what cannot name a node; a `sequential` one may end with /, its name is then the number alone.

    Raises:
        ZkError: BADARGUMENTS.
    """
    if problem := path_problem(path + "1" if sequential else path):
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{path!r} is no path: {problem}")


def parent(path: str) -> str:
    """Of a valid path; "/" is its own parent, as it has none."""
    return path[: path.rfind("/")] or ROOT


def name(path: str) -> str:
    """The last segment of a valid path; "" for "/"."""
    return path[path.rfind("/") + 1 :]


def join(directory: str, child: str) -> str:
    return f"/{child}" if directory == ROOT else f"{directory}/{child}"


def depth(path: str) -> int:
    """Segments of a valid path: 0 for "/"."""
    return 0 if path == ROOT else path.count("/")


def sequential_path(path: str, number: int) -> str:
    """`path` with the number of a sequential node; a count that has run over is negative, as in Java's `%010d`."""
    return f"{path}{number:0{_SEQUENCE_DIGITS}d}"
