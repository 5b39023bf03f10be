"""docs/requirements.md has every row, and no row names a test that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = {
    cells[0]: cells[1:]
    for cells in re.findall(
        r"^\| ([A-G]\d+) \| ([^|]+) \| ([^|]+) \|$",
        (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
COUNTS: Final = {"A": 4, "B": 10, "C": 13, "D": 19, "E": 9, "F": 7, "G": 3}


def test_every_row_is_there_in_order() -> None:
    assert list(ROWS) == [f"{section}{number}" for section, count in COUNTS.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist_or_says_what_it_waits_for(row: str) -> None:
    _, shown = ROWS[row]
    named = re.findall(r"`(tests/[^`]+\.py)::(test_\w+)`", shown)
    assert shown.count("::") == len(named), f"{row}: a test is not written as `path::function`"
    assert named or shown.startswith(("waits for ", "nothing to show")), row
    for path, function in named:
        module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {each.name for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in functions, f"{row}: {path} has no {function}"
        ids = re.match(r"test_((?:[A-G]\d+_)+)", function)
        assert ids is None or row in ids[1].split("_") or row in {"C8", "C13"}, (
            f"{row} is shown by a test of another row: {function}"
        )
