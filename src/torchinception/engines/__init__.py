"""Running a network fast: its graph, exact rewrites of it, and the runtimes that take it."""
