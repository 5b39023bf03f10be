"""The page about configuration tells the truth."""

from __future__ import annotations

from pathlib import Path

from raftkafka.model.settings.page import page


def test_the_page_is_current() -> None:
    committed = Path(__file__).parents[4] / "docs" / "configuration.md"
    assert committed.read_text() == page(), "run: python -m raftkafka.model.settings.page > docs/configuration.md"
