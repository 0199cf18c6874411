"""Training: recipes, the loop on Lightning, checkpoints, run folders."""
