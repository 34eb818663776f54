"""Replicas under random faults: nothing is acted on twice, and every crash is recovered from."""
