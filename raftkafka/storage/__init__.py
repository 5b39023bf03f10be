"""F2: partition logs on a disk seen only through `ports.disk`."""
