"""How fast a network runs on this machine, side by side in every way that is installed, by one protocol."""
