"""F1: the cluster's metadata - commands and their bytes, the image, decide, apply, placement, election. Pure."""
