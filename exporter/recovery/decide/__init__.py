"""Recovery: whether to act on a diagnosis, by an ordered list of guards. Pure functions."""
