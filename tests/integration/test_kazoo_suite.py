"""A part of kazoo's own tests, which come with it, against the ZooKeeper ports of three nodes; `make conformance-kazoo` runs all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.clusters import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CORE: Final = (
    "test_client::TestClient",
    "test_client::TestClientTransactions",
    "test_client::TestAuthentication",
    "test_counter",
    "test_party",
    "test_queue",
    "test_security",
)
SLOW: Final = ("test_bad_argument", "test_request_queuing", "test_update_host_list")
"""They wait for kazoo's own time-outs, or for a node that starts again within them."""
PASSED_MIN: Final = 95
"""A run that finds no tests has shown nothing."""


def test_the_core_of_kazoos_own_tests_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conformance.kazoo_cluster", "-p", "no:randomly"]
    command += [
        "-p",
        "no:cacheprovider",
        "-W",
        "default",
        "--timeout",
        "120",
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [
            *command,
            "-k",
            " and ".join(f"not {each}" for each in SLOW),
            "--pyargs",
            *(f"kazoo.tests.{each}" for each in CORE),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert int(found[1]) >= PASSED_MIN
