"""One module per scenario; each starts its own nodes and gives figures."""
