"""Plain lines where nobody watches live, sentences above the bar where somebody does."""

from __future__ import annotations

import pytest

from raftkafka.cli.progress import Story


def test_plain_progress_is_a_line_per_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(live=False)
    with story.bar("lines", 100) as bar:
        for done in range(101):
            bar(done)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == [f"lines: {done} of 100" for done in range(10, 101, 10)]


def test_a_sentence_survives_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(live=True)
    with story.bar("lines", 10) as bar:
        bar(5)
        story.tell("a node was [killed]")
    story.tell("after")
    output = capsys.readouterr().out
    assert "a node was [killed]" in output
    assert output.endswith(" s  after\n")
