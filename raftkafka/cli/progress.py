"""What a person sees while a long command runs: a live bar on a terminal, plain lines everywhere else. Floor 5."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
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

    @property
    def live(self) -> bool:
        return self._live

    def tell(self, sentence: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._began:6.1f} s  {sentence}\n")
        sys.stdout.flush()

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
            yield lambda done: progress.update(task, completed=done)


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
