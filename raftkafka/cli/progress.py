"""What a person sees while a long command runs: a live bar on a terminal, plain lines everywhere else. Floor 5."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    def __call__(self, done: int) -> None:
        """So much is done by now."""


class Story:
    """Sentences with the seconds since the start before them."""

    def __init__(self, *, live: bool | None = None) -> None:
        self._live = sys.stdout.isatty() if live is None else live
        self._began = time.monotonic()
        self._write: Callable[[str], None] = _write_line

    def tell(self, sentence: str) -> None:
        self._write(f"{time.monotonic() - self._began:6.1f} s  {sentence}")

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        """A bar for `total` steps; on anything but a terminal a line per tenth."""
        if not self._live:
            yield _Tenths(self, what, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task(what, total=total)
            # Sentences go above the bar; written past it they would be overdrawn.
            self._write = lambda text: progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            try:
                yield lambda done: progress.update(task, completed=done)
            finally:
                self._write = _write_line


def _write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Tenths:
    def __init__(self, story: Story, what: str, total: int) -> None:
        self._story = story
        self._what = what
        self._total = total
        self._told = 0

    def __call__(self, done: int) -> None:
        tenths = done * 10 // self._total if self._total else 10
        if tenths > self._told:
            self._told = tenths
            self._story.tell(f"{self._what}: {done} of {self._total}")
