"""The plugin for pytest, as its users meet it: runs of pytest in an empty directory, warnings as errors."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "testing.md"
BLOCKS: Final = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PLAIN: Final = ("-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", "-W", "error")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")

    def run(*options: str, plugins: tuple[str, ...] = PLAIN) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*plugins, *options)

    return run


def test_it_is_found_by_pytest() -> None:
    (found,) = [each for each in entry_points(group="pytest11") if each.name == "raftkafka"]
    assert found.value == "raftkafka.testing.plugin"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r"def (test_\w+)", block)[0])
def test_the_examples_of_the_page_run(run, pytester: pytest.Pytester, block: str) -> None:
    pytester.makepyfile(block)
    run().assert_outcomes(passed=len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)))


def test_it_serves_without_any_other_plugin(run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(
        """
        import subprocess, sys, threading

        def rk(cluster, *words, text=""):
            command = [sys.executable, "-m", "raftkafka.cli.main", *words, "--bootstrap-server", cluster.bootstrap]
            return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout

        def test_clients_in_other_processes(rk_cluster):
            cluster = rk_cluster(nodes=3, topics=["t"])
            rk(cluster, "produce", "t", text="one\\ntwo\\n")
            assert rk(cluster, "consume", "t", "--from-beginning", "--max-messages", "2") == "one\\ntwo\\n"

        def test_clients_in_threads(rk_cluster):
            cluster = rk_cluster(topics=["t"])
            threads = [threading.Thread(target=rk, args=(cluster, "produce", "t"), kwargs={"text": "x\\n"}) for _ in "ab"]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert rk(cluster, "consume", "t", "--from-beginning", "--max-messages", "2") == "x\\nx\\n"

        def test_two_clusters_are_two(rk_cluster):
            one, other = rk_cluster(topics=["t"]), rk_cluster()
            assert "t" in rk(one, "topic", "list")
            assert "t" not in rk(other, "topic", "list")

        def test_nothing_is_left_of_them():
            assert [each.name for each in threading.enumerate()] == ["MainThread"]
        """
    )
    alone = ("-p", "no:asyncio", "-p", "no:timeout", "-p", "no:hypothesispytest", *PLAIN)
    run(plugins=alone).assert_outcomes(passed=4)


def test_a_failed_test_shows_what_its_processes_said(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(rk_cluster):
            cluster = rk_cluster(processes=True)
            assert cluster.bootstrap == "nowhere"
        """
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*raftkafka node 1*", "*this broker is unfenced and may lead*"])


def test_a_process_that_ends_of_its_own_is_told(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, signal, time

        def test_it(rk_cluster):
            cluster = rk_cluster(processes=True)
            # Nobody asked the cluster to do this.
            children = cluster._cluster._nodes._children
            (place,) = cluster._cluster._nodes._places.values()
            os.kill(children.pid(place), signal.SIGKILL)
            deadline = time.monotonic() + 30
            while children.dead() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        """
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ClusterError: node 1 ended: *"])


def test_nothing_of_a_node_is_loaded_before_a_test_asks() -> None:
    """Nor is pytest a part of raftkafka."""
    loaded = "import sys, raftkafka.testing.plugin; print('raftkafka.node.lifecycle' in sys.modules)"
    without = "import sys, raftkafka.testing.cluster, raftkafka.testing.blocking; print('pytest' in sys.modules)"
    for program in (loaded, without):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout == "False\n"
