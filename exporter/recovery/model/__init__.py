"""Recovery: the values that its parts exchange, and the ports it needs."""
