"""What an installation brings: a wheel, built as `make dist` builds it, has every file of the package and the compiled modules."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt install gcc python3-dev")
def test_the_wheel_is_whole(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("dist", ROOT / "deploy" / "dist.py")
    assert spec is not None
    assert spec.loader is not None
    dist = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dist)
    wheels = tmp_path / "wheels"
    try:
        dist.make_wheels(tmp_path / "source", wheels, "--no-deps")
    except dist.DistError:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "download",
            "--no-deps",
            "--dest",
            str(tmp_path),
            "setuptools>=77",
        ]
        if subprocess.run(pip, check=False).returncode:
            pytest.skip("needs setuptools from a registry, which does not answer")
        raise
    assert dist.version_of(wheels)
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as ours:
        assert "raftkafka/console/static/index.html" in ours.namelist()
        ours.extractall(tmp_path / "installed")
    # What is in it works without the checkout.
    program = "from raftkafka.console.static_files import StaticFiles; import raftkafka; StaticFiles(); print(raftkafka.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "installed", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
