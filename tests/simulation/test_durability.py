"""docs/durability.md, cell by cell: what is promised is kept, and what is not promised is really lost.

The second half keeps the page honest in the other direction: a promise that could be stronger is found out here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raftkafka.model.settings.values import FlushPolicy
from tests.simulation.durability import BLOWS, Case, lost_records

PAGE = Path(__file__).parents[2] / "docs" / "durability.md"
SEEDS = (1, 2, 3)
EVERYTHING = frozenset(BLOWS)

KEPT: dict[tuple[str, FlushPolicy], frozenset[str]] = {
    **{(acks, policy): frozenset() for acks in ("0", "1") for policy in FlushPolicy},
    ("all", FlushPolicy.GROUP): EVERYTHING,
    ("all", FlushPolicy.OS): EVERYTHING - {"power_two", "power_three"},
    ("all", FlushPolicy.INTERVAL): EVERYTHING - {"power_two", "power_three"},
}
"""Three replicas, min.insync.replicas=2."""

KEPT_ALONE: dict[tuple[str, FlushPolicy], frozenset[str]] = {
    **{(acks, policy): frozenset({"kill_one"}) for acks in ("0", "1", "all") for policy in FlushPolicy},
    ("all", FlushPolicy.GROUP): frozenset({"kill_one", "power_one"}),
}
"""One replica. With acks=0 of what the node has received."""

CELLS = [(acks, policy, blow) for acks, policy in KEPT for blow in BLOWS]
CELLS_ALONE = [(acks, policy, blow) for acks, policy in KEPT_ALONE for blow in ("kill_one", "power_one")]


def named(cells: list[tuple[str, FlushPolicy, str]], kept: dict[tuple[str, FlushPolicy], frozenset[str]], yes: bool):  # type: ignore[no-untyped-def]
    chosen = [cell for cell in cells if (cell[2] in kept[cell[0], cell[1]]) is yes]
    return pytest.mark.parametrize(
        ("acks", "policy", "blow"), chosen, ids=[f"{acks}-{policy.value}-{blow}" for acks, policy, blow in chosen]
    )


@named(CELLS, KEPT, True)
@pytest.mark.parametrize("arrangement", ["full", "pair"])
def test_kept(acks: str, policy: FlushPolicy, blow: str, arrangement: str) -> None:
    for seed in SEEDS:
        case = Case(acks=acks, policy=policy, blow=blow, arrangement=arrangement)
        assert lost_records(case, seed) == [], f"{case}, seed {seed}"


@named(CELLS, KEPT, False)
def test_may_be_lost(acks: str, policy: FlushPolicy, blow: str) -> None:
    arrangement = "pair" if acks == "all" else "lonely"
    case = Case(acks=acks, policy=policy, blow=blow, arrangement=arrangement)
    assert any(lost_records(case, seed) for seed in SEEDS), case


@named(CELLS_ALONE, KEPT_ALONE, True)
def test_one_replica_kept(acks: str, policy: FlushPolicy, blow: str) -> None:
    for seed in SEEDS:
        case = Case(acks=acks, policy=policy, blow=blow, arrangement="full", nodes=1)
        assert lost_records(case, seed) == [], f"{case}, seed {seed}"


@named(CELLS_ALONE, KEPT_ALONE, False)
def test_one_replica_may_lose(acks: str, policy: FlushPolicy, blow: str) -> None:
    case = Case(acks=acks, policy=policy, blow=blow, arrangement="full", nodes=1)
    assert any(lost_records(case, seed) for seed in SEEDS), case


@pytest.mark.parametrize(("heading", "kept"), [("Three replicas", KEPT), ("One replica", KEPT_ALONE)])
def test_the_page_says_what_is_tested(heading: str, kept: dict[tuple[str, FlushPolicy], frozenset[str]]) -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    blows = [re.sub(r"[^a-z_]", "", cell) for cell in header[2:]]
    said = {
        (row[0].strip("`"), FlushPolicy(row[1].strip("`"))): frozenset(
            blow for blow, cell in zip(blows, row[2:], strict=True) if cell == "kept"
        )
        for row in rows
    }
    assert said == kept
