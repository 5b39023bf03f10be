"""Pages that promise something about the code keep it."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from raftkafka.model.api import fetch, produce, topics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_C1_what_is_not_offered_is_listed_and_indeed_not_there() -> None:
    page = (ROOT / "docs" / "non-goals.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w[^|]+) \| ([^|]+) \|$", page, re.MULTILINE)[1:]
    for word in ("routing", "selectors", "time to live", "priorities"):
        assert any(offered.startswith(word) for offered, _ in rows), word
    assert all(instead.strip() for _, instead in rows)
    names = {
        field.name
        for module in (produce, fetch, topics)
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind)
        for field in fields(kind)
    }
    assert "records" in names
    assert not {name for name in names if re.search("rout|select|filter|(^|_)ttl|priorit|expir|delay", name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target
