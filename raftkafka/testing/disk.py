"""The real disk without its syncs: what a test writes is gone with the test, so nothing waits for the device.

Floor 6. A node in this process dies without the kernel: what it has written stays in the page cache, and the next life of
the node finds it, as after SIGKILL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from raftkafka.adapters.disk import OsDisk
from raftkafka.ports.disk import Bytes, File


class UnsyncedDisk(OsDisk):
    def __init__(self) -> None:
        super().__init__(threads=1)

    def write_atomic(self, path: str, data: Bytes) -> None:
        new = f"{path}.tmp"
        self.remove(new)
        file = self.open(new, create=True)
        try:
            file.append((data,))
        finally:
            file.close()
        self.rename(new, path)

    async def replace(self, path: str, data: Bytes) -> None:
        self.write_atomic(path, data)

    def sync_dir(self, path: str) -> None: ...

    async def sync_names(self, path: str) -> None: ...

    def sync(self, files: Sequence[File]) -> Awaitable[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done
