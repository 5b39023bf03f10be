"""Three nodes that can be broken in every way that an alert tells of."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.chaos.disks import LoopDisk, why_no_disks
from tests.clusters import Cluster

FAULTS: Final = Path(__file__).with_name("faults.c")
SMALL_DISK_MIB: Final = 96
WITH_SMALL_DISK: Final = 3
"""The node whose second log directory is a file system of its own."""


class BreakableCluster(Cluster):
    """Every node has a second log directory. `close` undoes everything."""

    def __init__(self, directory: Path, properties: Mapping[str, str]) -> None:
        directory.mkdir(parents=True)
        self.why_no_small_disk = why_no_disks(directory)
        self.why_no_library = None if shutil.which("cc") else "cc is missing (a C compiler)"
        self._library = directory / "faults.so"
        self.small_disk: LoopDisk | None = None
        if self.why_no_library is None:
            command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(self._library), str(FAULTS), "-ldl"]
            subprocess.run(command, check=True, timeout=60)
        super().__init__(directory, 3, properties)
        for node_id in self.node_ids:
            self._faults(node_id).mkdir()
            self.configure(node_id, {"log.dirs": f"{self.place(node_id).directory},{self.second_directory(node_id)}"})
        if self.why_no_small_disk is None:
            name = self.second_directory(WITH_SMALL_DISK).name
            self.small_disk = LoopDisk(directory, name, size_mib=SMALL_DISK_MIB)

    def second_directory(self, node_id: int) -> Path:
        return self.directory / f"more-{node_id}"

    def command_prefix(self, node_id: int) -> Sequence[str]:
        if self.why_no_library is not None:
            return ()
        return ["env", f"LD_PRELOAD={self._library}", f"FAULTS={self._faults(node_id)}"]

    def _faults(self, node_id: int) -> Path:
        return self.directory / f"faults-{node_id}"

    def fault(self, node_id: int, name: str, *, on: bool) -> None:
        path = self._faults(node_id) / name
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        super().close()
        if self.small_disk is not None:
            self.small_disk.close()
