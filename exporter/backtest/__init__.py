"""Replays recorded history through recovery with other settings, and compares what is done."""
