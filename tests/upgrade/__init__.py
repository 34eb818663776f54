"""The upgrade from an earlier commit: monitoring has no gap, and recovery acts on nothing twice."""
