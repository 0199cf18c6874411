"""Model files: our own (`bundle`); one renaming per foreign format comes beside it."""
