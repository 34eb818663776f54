"""Attacks on the web server of a real daemon, and what holds meanwhile."""
