"""Alertmanager: posts the alerts of the daemon and reads silences. Knows no VergeOS."""
