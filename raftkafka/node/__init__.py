"""F5: the composition root - assembly, lifecycle, entry point."""
