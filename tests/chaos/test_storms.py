"""A short storm over real processes, real files and, where root allows it, real networks and disks; `make chaos` runs long ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.cluster import ChaosCluster
from tests.chaos.disks import LoopDisk
from tests.chaos.hosts import Hosts
from tests.chaos.run import KINDS, chaos_cluster, storm_over, why_not
from tests.cluster_fixtures import assert_no_traceback

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SECONDS = 5.0
SEED = 7


@pytest.fixture(params=KINDS)
def chaotic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChaosCluster]:
    if (reason := why_not(request.param, tmp_path)) is not None:
        pytest.skip(reason)
    with chaos_cluster(request.param, tmp_path / "cluster") as cluster:
        yield cluster
        assert_no_traceback([cluster])


async def test_nothing_acknowledged_is_lost(chaotic: ChaosCluster) -> None:
    outcome = await storm_over(chaotic, SEED, seconds=SECONDS)
    assert not outcome.violations, "\n".join([*outcome.violations, *outcome.story])
    assert sum(outcome.faults.values()) > 0
    assert outcome.acknowledged > 0


async def test_a_record_that_no_disk_has_is_missed(tmp_path: Path) -> None:
    """The judge can say no: a log file that loses its end costs acknowledged records."""
    with chaos_cluster("processes", tmp_path / "cluster") as cluster:

        async def damage() -> None:
            for node_id in cluster.node_ids:
                for path in cluster.partition_dir(node_id, "orders", 0).glob("*.log"):
                    path.write_bytes(b"")

        outcome = await storm_over(cluster, SEED, seconds=1, names=("kill",), before_judgement=damage)
    assert any(violation.startswith("I1") for violation in outcome.violations)


def test_a_disk_gets_its_power_back_while_programs_run_on_other_hosts(tmp_path: Path) -> None:
    """Several storms run at once; one that held on to the mounts of another kept its dead file systems alive."""
    for kind in ("network", "disks"):
        if (reason := why_not(kind, tmp_path)) is not None:
            pytest.skip(reason)
    disk, hosts = LoopDisk(tmp_path, "disk"), Hosts(1)
    other = subprocess.Popen([*hosts.prefix(1), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"up\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"up\n"
        disk.cut_power()
        with pytest.raises(OSError, match="Input/output error"):
            (disk.mount_point / "lost").write_text("x")
        disk.unmount()
        disk.mount()
        (disk.mount_point / "kept").write_text("x")
    finally:
        other.kill()
        other.communicate()
        disk.close()
        hosts.close()
