"""docs/systemd.md is of the story that `make test-systemd` tells now, and what it tells of went well."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_has_every_chapter_of_the_story() -> None:
    story = (ROOT / "tests" / "systemd" / "story.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")
    chapters = re.findall(r'"(## [^"\\]+)', story)
    assert len(chapters) >= 12
    told = re.findall(r"^## .*$", page, re.MULTILINE)
    assert [chapter for chapter in told if chapter != "## Build"] == chapters, (
        "as root: make test-systemd TRANSCRIPT=docs/systemd.md"
    )
    counts = [int(count) for count in re.findall(r"\| cmp - records && wc -l < records\n(\d+)\n", page)]
    assert len(counts) >= 7
    assert counts == sorted(counts)
