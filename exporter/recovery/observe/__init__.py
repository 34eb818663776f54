"""Recovery: what each poll changes in what is known about a system and its VMs. Pure functions."""
