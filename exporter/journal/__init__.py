"""The journal: everything recovery must not forget, on disk."""
