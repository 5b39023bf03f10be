"""What was typed and what came back, as a page. What stands there has happened; nothing is written by hand but the words between."""

from __future__ import annotations

import re
from typing import Final

_WIDTH_MAX: Final = 160
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Transcript:
    def __init__(self, title: str, introduction: str) -> None:
        self._lines = [f"# {title}", "", *introduction.strip().splitlines()]
        self._open = False

    def say(self, text: str) -> None:
        """Words between the commands; a line that begins with `## ` is a heading."""
        self._close()
        self._lines += ["", *text.strip().splitlines()]
        print(f"\n{text.strip()}", flush=True)

    def command(self, command: str, output: str) -> None:
        if not self._open:
            self._lines += ["", "```console"]
            self._open = True
        shown = [f"# {command}", *(_plain(line) for line in output.rstrip().splitlines())]
        self._lines += shown
        print("\n".join(shown), flush=True)

    def page(self) -> str:
        self._close()
        return "\n".join(self._lines) + "\n"

    def _close(self) -> None:
        if self._open:
            self._lines.append("```")
            self._open = False


def _plain(line: str) -> str:
    line = _COLOUR.sub("", line).rstrip()
    return line if len(line) <= _WIDTH_MAX else line[: _WIDTH_MAX - 4] + " ..."
