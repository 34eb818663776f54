"""What all tests have in common."""

from hypothesis import settings

# Machines stall now and then, and an example that took long is no failure; a seed is worth having.
settings.register_profile("ours", deadline=None, print_blob=True)
settings.load_profile("ours")
