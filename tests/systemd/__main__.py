"""`make test-systemd`: build the archive, boot a machine, and tell the story; `--transcript FILE` writes it as a page."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.systemd.machine import ENVIRONMENT, Machine, why_no_machine
from tests.systemd.story import Story
from tests.systemd.transcript import Transcript

ROOT: Final = Path(__file__).parents[2]
TITLE: Final = "A machine with systemd, from installing to uninstalling"
INTRODUCTION: Final = """
Commands and what they printed, in one run of `make test-systemd TRANSCRIPT=docs/systemd.md`: a really booted systemd in a container, whose
only network is its own loopback. Every step is asserted by the test that wrote this page (`tests/systemd/story.py`), the waiting in
between is left out. What the units do, and why, is in [deploy/README.md](../deploy/README.md).
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Run raftkafka under a really booted systemd, in a container.")
    parser.add_argument("--transcript", type=Path, help="write what happened to this page")
    parser.add_argument("--archive", type=Path, help="take this archive of `make dist` in place of making one")
    options = parser.parse_args()
    reason = why_no_machine()
    if reason is not None:
        print(f"skipped: {reason}", file=sys.stderr)
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        archive = options.archive or make_archive(Path(scratch))
        transcript = Transcript(TITLE, INTRODUCTION)
        transcript.say("## Build\n\nOn a machine with a compiler and a registry:")
        transcript.command("make dist", f"dist/{archive.name}")
        with Machine() as machine:
            version = machine.run("systemctl", "--version").stdout.splitlines()[0]
            transcript.say(f"What follows happens on a machine with `{version}`.")
            Story(machine, archive, transcript).tell()
    took_s = time.monotonic() - began
    print(f"\nall as it should be, in {took_s:.0f} s", flush=True)
    if options.transcript:
        options.transcript.write_text(transcript.page(), encoding="utf-8")
    return 0


def make_archive(scratch: Path) -> Path:
    """By `make dist`'s program, for the Python that the machine's root has, which need not be ours."""
    python = sys.executable
    theirs = _version("python3", ENVIRONMENT["PATH"])
    if theirs != f"{sys.version_info[0]}.{sys.version_info[1]}":
        subprocess.run(["python3", "-m", "venv", str(scratch / "venv")], env={**os.environ, **ENVIRONMENT}, check=True)
        python = str(scratch / "venv/bin/python")
    made = subprocess.run(
        [python, str(ROOT / "deploy/dist.py"), "--output", str(scratch)], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(made.stdout.strip())


def _version(python: str, path: str) -> str:
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, env={"PATH": path}, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
