"""The ZooKeeper tree and its sessions as a part of the metadata image. Floor 1, pure."""
