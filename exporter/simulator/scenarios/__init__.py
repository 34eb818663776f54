"""Scenarios: YAML files that say what happens in a simulated system, and their loading."""
