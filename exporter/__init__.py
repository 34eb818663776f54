"""Vergewatch: monitoring for VergeOS."""

__version__ = "0.1.0"
