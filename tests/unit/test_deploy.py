"""What lies in deploy/ works as it stands: settings load, units pass systemd's own checks, installing knows what it would do.

tests/systemd does all of it for real, on a machine of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from raftkafka.model.settings.load import load

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPTS = ("install.sh", "uninstall.sh")
EXPOSURE_MAX = 2.0
needs_systemd = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("systemd-analyze", "systemctl", "systemd-sysusers")),
    reason="needs the package systemd",
)


@pytest.mark.parametrize("node_id", [1, 2, 3])
def test_the_sample_settings_load_without_a_note(node_id: int) -> None:
    name = f"server-{node_id}.properties"
    loaded = load((DEPLOY / name).read_text(encoding="utf-8"), source=name)
    assert loaded.notes == ()
    assert loaded.settings.node_id == node_id
    assert len(loaded.settings.voters) == 3


def test_the_samples_share_one_cluster_and_nothing_else() -> None:
    settings = [
        load((DEPLOY / f"server-{number}.properties").read_text(encoding="utf-8"), source="").settings
        for number in (1, 2, 3)
    ]
    assert len({each.voters for each in settings}) == 1
    assert len({each.cluster_secret_file for each in settings}) == 1
    assert len({each.log_dirs for each in settings}) == 3
    ports = [listener.port for each in settings for listener in each.listeners]
    ports += [each.http_listener.port for each in settings if each.http_listener]
    ports += [voter.port for voter in settings[0].voters]
    assert len(set(ports)) == len(ports) == 9


@needs_systemd
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    # The check wants programs that exist; the paths of the real installation do not exist here.
    service = (DEPLOY / "raftkafka@.service").read_text(encoding="utf-8")
    assert service.count("/opt/raftkafka/bin/rk ") == 1
    (tmp_path / "raftkafka@.service").write_text(service.replace("/opt/raftkafka/bin/rk", sys.executable))
    shutil.copy(DEPLOY / "raftkafka.target", tmp_path)
    checked = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            str(tmp_path / "raftkafka@1.service"),
            str(tmp_path / "raftkafka.target"),
        ],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        timeout=60,
        check=False,
    )
    # Other units of the machine may have faults of their own; only ours count.
    ours = [line for line in checked.stderr.splitlines() if "raftkafka" in line]
    assert ours == []
    assert checked.returncode == 0, checked.stderr


@needs_systemd
def test_the_unit_is_hardened(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "raftkafka@.service", tmp_path)
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(tmp_path / "raftkafka@.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", rated.stdout)
    if found is None:
        pytest.skip("this systemd-analyze cannot rate unit files: systemd 250 or newer does")
    assert float(found[1]) <= EXPOSURE_MAX, rated.stdout


def test_nothing_strands_a_node_but_its_settings() -> None:
    unit = (DEPLOY / "raftkafka@.service").read_text(encoding="utf-8").splitlines()
    from raftkafka.node.main import CONFIGURATION_EXIT

    assert {
        "Type=notify",
        "WatchdogSec=30",
        "StartLimitIntervalSec=0",
        "Restart=on-failure",
        f"RestartPreventExitStatus={CONFIGURATION_EXIT}",
    } <= set(unit)


# Installing


def script(name: str, *options: str, directory: Path = DEPLOY, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(directory / name), *options],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        timeout=60,
        check=False,
    )


def python_for_services() -> str | None:
    """A Python that units see, which that of the tests need not be."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        fits = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11) or sys.base_prefix.startswith(('/root', '/home', '/tmp')))"
        if os.path.exists(candidate) and not subprocess.run([candidate, "-c", fits], capture_output=True).returncode:
            return os.path.realpath(candidate)
    return None


def one_line(done: subprocess.CompletedProcess[str], name: str) -> str:
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    return line.removeprefix(f"{name}: ")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_ready_to_be_called(name: str) -> None:
    assert os.access(DEPLOY / name, os.X_OK)
    assert subprocess.run(["bash", "-n", str(DEPLOY / name)], check=False).returncode == 0
    assert "--dry-run" in script(name, "--help").stdout
    assert "unknown option --purgee" in one_line(script(name, "--purgee"), name)


@needs_systemd
def test_a_dry_run_shows_every_step_and_takes_none() -> None:
    python = python_for_services()
    if python is None:
        pytest.skip("needs a Python 3.11 outside of home directories, with venv: python3 and python3-venv")
    places = [Path("/opt/raftkafka"), Path("/etc/raftkafka"), Path("/usr/local/lib/systemd/system/raftkafka.target")]
    before = [place.exists() for place in places]
    done = script("install.sh", "--dry-run", "--from", "checkout", "--python", python)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    for expected in (
        r"\+ \S+ -m venv /opt/raftkafka/versions/[0-9.]+-[0-9a-f]{8}",
        rf"\+ \S+/python -m pip .* install {re.escape(str(DEPLOY.parent))}",
        r"\+ mv -T /opt/raftkafka/bin.new /opt/raftkafka/bin",
        r"\+ install .*raftkafka@.service .*/raftkafka@.service",
        r"\+ systemd-sysusers raftkafka.conf",
        r"\+ systemd-tmpfiles --create raftkafka.conf",
    ):
        assert any(re.fullmatch(expected, step) for step in steps), (expected, done.stdout)
    assert [place.exists() for place in places] == before
    undone = script("uninstall.sh", "--dry-run")
    assert undone.returncode == 0
    assert "+ rm -rf /opt/raftkafka" in undone.stdout
    assert "/var/lib/raftkafka" not in "".join(line for line in undone.stdout.splitlines() if line.startswith("+ "))
    assert "+ rm -rf /etc/raftkafka /var/lib/raftkafka" in script("uninstall.sh", "--dry-run", "--purge").stdout


@needs_systemd
def test_an_interpreter_that_does_not_fit(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 'python3 is Python 3.9, 3.11 or newer is needed'\n")
    old.chmod(0o755)
    install = ("install.sh", "--dry-run", "--from", "checkout", "--python")
    assert "Python 3.9, 3.11 or newer" in one_line(script(*install, str(old)), "install.sh")
    assert "is not installed" in one_line(script(*install, str(tmp_path / "none")), "install.sh")
    # What units cannot see must not be what they are to run.
    hidden = tmp_path / "hidden"
    hidden.symlink_to(sys.executable)
    if str(Path(sys.executable).resolve()).startswith(("/root/", "/home/")):
        assert "services do not see" in one_line(script(*install, str(hidden)), "install.sh")


@needs_systemd
def test_words_that_mean_nothing() -> None:
    assert "is none of archive" in one_line(script("install.sh", "--dry-run", "--from", "nowhere"), "install.sh")
    assert "needs a value" in one_line(script("install.sh", "--dry-run", "--from"), "install.sh")
    assert "needs --version" in one_line(script("install.sh", "--dry-run", "--from", "registry"), "install.sh")
    wrong = script("install.sh", "--dry-run", "--from", "registry", "--version", "1; rm x")
    assert "is none" in one_line(wrong, "install.sh")
    assert "no wheels" in one_line(script("install.sh", "--dry-run", "--from", "archive"), "install.sh")


# The archive


@pytest.fixture(scope="module")
def dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dist", DEPLOY / "dist.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def content(directory: Path, dist: Any) -> Path:
    """What `make dist` packs, with a wheel that is none."""
    (directory / "wheels").mkdir(parents=True)
    for name in dist.FROM_DEPLOY:
        shutil.copy(DEPLOY / name, directory / name)
    (directory / "wheels" / "raftkafka-1.2.3-py3-none-any.whl").write_bytes(b"a wheel")
    return directory


def test_the_archive_holds_everything_that_installing_takes(dist: Any) -> None:
    taken = set(
        re.findall(r'"\$here/([A-Za-z@]+[a-z@.-]*\.[a-z]+)"', (DEPLOY / "install.sh").read_text(encoding="utf-8"))
    )
    assert len(taken) >= 6
    assert taken <= set(dist.FROM_DEPLOY)


def test_the_same_files_give_the_same_archive(tmp_path: Path, dist: Any) -> None:
    packed = []
    for name in ("one", "two"):
        here = content(tmp_path / name, dist)
        os.utime(here / "README.md", (len(packed), len(packed)))
        packed.append(dist.pack(here, tmp_path / "out", version="1.2.3").read_bytes())
    assert packed[0] == packed[1]


@needs_systemd
def test_an_archive_installs_what_is_in_it_and_nothing_that_is_damaged(tmp_path: Path, dist: Any) -> None:
    python = python_for_services()
    if python is None:
        pytest.skip("needs a Python 3.11 outside of home directories, with venv: python3 and python3-venv")
    path = dist.pack(content(tmp_path / "content", dist), tmp_path / "out", version="1.2.3")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    options = ("install.sh", "--dry-run", "--python", python)
    tag = f"python={dist.tag()}"
    same = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if f"-{same}-" in tag:
        done = script(*options, directory=unpacked)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"--no-index --find-links \S+/wheels raftkafka==1\.2\.3\n", done.stdout)
    description = unpacked / "ARCHIVE"
    sums = unpacked / "SHA256SUMS"
    (unpacked / "wheels" / "raftkafka-1.2.3-py3-none-any.whl").write_bytes(b"a whee1")
    assert "the archive is damaged" in one_line(script(*options, directory=unpacked), "install.sh")
    (unpacked / "wheels" / "raftkafka-1.2.3-py3-none-any.whl").write_bytes(b"a wheel")
    description.write_text("version=1.2.3\npython=cpython-3.99-x86_64\n")
    kept = [line for line in sums.read_text().splitlines(keepends=True) if not line.endswith("ARCHIVE\n")]
    sums.write_text("".join(kept))
    assert "is for cpython-3.99-x86_64" in one_line(script(*options, directory=unpacked), "install.sh")
