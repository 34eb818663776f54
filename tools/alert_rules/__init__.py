"""The alerts and recording rules that we ship, written once, as data."""
