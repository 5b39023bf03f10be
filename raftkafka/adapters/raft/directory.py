"""The name of the disk that Raft's files lie on (KIP-853): drawn once, with the first start on an empty directory.

Floor 4. A voter promises with what is on its disk. Another disk under the same node id has made none of these promises, and
the name tells the two apart.
"""

from __future__ import annotations

from typing import Final

from raftkafka.model.errors import StartupError
from raftkafka.ports.disk import Disk

FILE_NAME: Final = "directory.id"
ID_BYTES: Final = 16


def load_directory_id(disk: Disk, directory: str, new_id: bytes) -> bytes:
    """The 16 bytes in the directory, `new_id` where there are none yet.

    Raises:
        StartupError: the file is damaged. StorageError: the disk refused.
    """
    path = f"{directory}/{FILE_NAME}"
    if not disk.exists(path):
        disk.write_atomic(path, new_id.hex().encode("ascii") + b"\n")
        return new_id
    text = disk.read_file(path).decode("ascii", "replace").strip()
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != ID_BYTES:
        raise StartupError(
            f"{path} is damaged: it names the disk of this node's Raft files in {2 * ID_BYTES} hex digits"
        )
    return found
