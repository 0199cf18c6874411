"""Small experiments on the papers' claims."""
