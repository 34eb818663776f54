"""The alert and recording rules, as data. alerts/README.md shows how to add one."""
