"""`make dist`: one archive with all that a machine without a registry needs: wheels, units, `install.sh`, checksums.

The archive is for the Python and the processor that it was made with, since our own wheel carries compiled modules; it says so in
`ARCHIVE`, and `install.sh` looks there. The same sources and the same wheels of others give the same bytes: times, owners and
order are fixed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = (
    "raftkafka",
    "deploy",
    "ops",
    "docs",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)
FROM_DEPLOY: Final = (
    "README.md",
    "install.sh",
    "uninstall.sh",
    "raftkafka@.service",
    "raftkafka.target",
    "restart-steps.conf",
    "server-1.properties",
    "server-2.properties",
    "server-3.properties",
    "sysusers.conf",
    "tmpfiles.conf",
)
COMPILED: Final = (
    "raftkafka/record/_codec.",
    "raftkafka/client/_fast.",
    "raftkafka/model/_passing.",
    "raftkafka/adapters/_syncs.",
)
EPOCH: Final = 1577836800
"""The first second of 2020: the earliest that every tool for zip files takes."""


class DistError(Exception):
    """Why there is no archive, in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the archive of wheels for machines without a registry.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="directory of the archive (default: dist)")
    options = parser.parse_args()
    try:
        print(build(options.output))
    except DistError as error:
        print(f"make dist: {error}", file=sys.stderr)
        return 1
    return 0


def build(output: Path) -> Path:
    """Build the wheels and pack them; where the archive is."""
    with tempfile.TemporaryDirectory() as scratch:
        content = Path(scratch) / "content"
        wheels = content / "wheels"
        wheels.mkdir(parents=True)
        make_wheels(Path(scratch) / "source", wheels)
        version = version_of(wheels)
        for name in FROM_DEPLOY:
            shutil.copy(ROOT / "deploy" / name, content / name)
        shutil.copy(ROOT / "LICENSE", content / "LICENSE")
        return pack(content, output, version=version)


def make_wheels(source: Path, wheels: Path, *options: str) -> None:
    """Our wheel and all that it needs, from a copy of the sources: what earlier builds left beside them stays out."""
    source.mkdir()
    for name in SOURCES:
        origin = ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.py[cod]"))
        else:
            shutil.copy(origin, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = subprocess.run(
        [*pip, "wheel", *options, "--wheel-dir", str(wheels), str(source)],
        # Without debug information, which names the directory of the build.
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "CFLAGS": "-O2 -g0"},
        check=False,
    )
    if built.returncode:
        raise DistError("pip could not build or fetch the wheels, see above")


def version_of(wheels: Path) -> str:
    """The version of our wheel, once it is seen to be whole."""
    [ours] = wheels.glob("raftkafka-*.whl")
    with zipfile.ZipFile(ours) as wheel:
        names = wheel.namelist()
    if missing := sorted(_files() - set(names)):
        raise DistError(f"the wheel lacks {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""))
    for prefix in COMPILED:
        if not any(name.startswith(prefix) and name.endswith(".so") for name in names):
            raise DistError(
                f"{prefix}c was not compiled: a C compiler and Python's headers are needed (apt install gcc python3-dev)"
            )
    return ours.name.split("-")[1]


def _files() -> set[str]:
    """All that the package is made of, without what is compiled: its Python, its types, and the pages of the console."""
    found = [path for path in (ROOT / "raftkafka").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix() for path in found if path.suffix not in {".c", ".so", ".pyc"}}


def tag() -> str:
    """Python and processor, as `install.sh` names them."""
    return f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}"


def pack(content: Path, output: Path, *, version: str) -> Path:
    """Add what describes `content` and make the archive of it, the same bytes for the same files."""
    (content / "ARCHIVE").write_text(f"version={version}\npython={tag()}\n", encoding="utf-8")
    files = sorted(path.relative_to(content).as_posix() for path in content.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256((content / name).read_bytes()).hexdigest()}  {name}\n" for name in files]
    (content / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    name = f"raftkafka-{version}-{tag()}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in sorted([*files, "SHA256SUMS"]):
            archive.add(content / each, f"{name}/{each}", filter=_anonymous)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = EPOCH
    member.mode = 0o755 if re.search(r"\.sh$", member.name) else 0o644
    return member


if __name__ == "__main__":
    sys.exit(main())
