"""The journal: recovery's store of what it did and what it has to remember."""
