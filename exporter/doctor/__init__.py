"""The doctor: checks of the platform that run on every inventory. See docs/doctor.md."""
