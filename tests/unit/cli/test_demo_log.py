"""Which text the demonstration takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftkafka.cli import demo_log
from raftkafka.cli.demo_log import choose, lines_of
from raftkafka.model.errors import ConfigurationError


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    logs, texts = tmp_path / "log", tmp_path / "texts"
    for root in (logs, texts):
        root.mkdir()
    monkeypatch.setattr(demo_log, "_LOG_ROOTS", (logs,))
    monkeypatch.setattr(demo_log, "_TEXT_ROOTS", (texts,))
    return logs, texts


def test_the_largest_text_log_wins(roots: tuple[Path, Path]) -> None:
    logs, _ = roots
    (logs / "small").write_text("one line\n")
    (logs / "apt").mkdir()
    (logs / "apt" / "history.log").write_text("Start-Date\n" * 20)
    (logs / "wtmp").write_bytes(bytes(10_000))
    (logs / "link").symlink_to(logs / "wtmp")
    assert choose(None) == demo_log.ChosenLog(path=logs / "apt" / "history.log")


def test_without_a_log_any_text_is_taken_and_that_is_said(roots: tuple[Path, Path]) -> None:
    logs, texts = roots
    (logs / "wtmp").write_bytes(bytes(10_000))
    (texts / "GPL").write_text("Everyone is permitted to copy\n")
    chosen = choose(None)
    assert chosen.path == texts / "GPL"
    assert "LOG=" in chosen.note


def test_without_any_text_it_asks_for_one(roots: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="LOG="):
        choose(None)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x7fELF\0\0\0"])
def test_a_named_file_must_be_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a readable text"):
        choose(tmp_path / "f")
    with pytest.raises(ConfigurationError, match="not a readable text"):
        choose(tmp_path / "missing")


def test_lines_repeat_until_there_are_enough(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\nb\r\n\xff")
    assert lines_of(tmp_path / "f", 5) == [b"a", b"b", b"\xff", b"a", b"b"]
    assert lines_of(tmp_path / "f", 2) == [b"a", b"b"]
