"""Alertmanager: the alerts that the daemon posts, and the silences that hold recovery."""
