"""What this package relies on in pysyncobj, and what it has taken away from it."""

from __future__ import annotations

import ast
from pathlib import Path

import pysyncobj.syncobj
import pytest

import raftkafka
from raftkafka.adapters.raft import library
from raftkafka.model.errors import InvariantViolationError, StartupError


def test_the_pinned_version_has_every_name():
    library.check_library()


def test_another_version_refuses_to_start(monkeypatch):
    monkeypatch.setattr(library, "VERSION", "0.4.0")
    with pytest.raises(StartupError, match=r"0\.3\.17 is needed, 0\.4\.0 is installed"):
        library.check_library()


def test_a_missing_private_name_is_named(monkeypatch):
    monkeypatch.setattr(library, "_METHODS", (*library._METHODS, "_SyncObj__gone"))
    monkeypatch.setattr(library, "_ATTRIBUTES", (*library._ATTRIBUTES, "_SyncObj__lost"))
    with pytest.raises(StartupError, match=r"_SyncObj__gone, _SyncObj__lost"):
        library.check_library()


def test_the_library_can_neither_unpickle_nor_draw():
    with pytest.raises(InvariantViolationError, match=r"pickle\.loads"):
        pysyncobj.syncobj.pickle.loads(b"")
    with pytest.raises(InvariantViolationError, match=r"random\.random"):
        pysyncobj.syncobj.random.random()


def test_nobody_in_this_project_imports_pickle():
    root = Path(raftkafka.__file__).parent
    forbidden = {"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill"}
    found = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path}:{name}" for name in names if forbidden & set(name.split("."))]
    assert found == []


def test_private_attributes_of_the_library_are_named_in_one_place():
    root = Path(raftkafka.__file__).parent
    found = sorted(path.name for path in root.rglob("*.py") if "_SyncObj__" in path.read_text())
    assert found == ["core.py", "library.py"]
