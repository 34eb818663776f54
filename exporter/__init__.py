"""Vergewatch: monitoring and safe self-healing for VergeOS."""

__version__ = "0.1.0"
