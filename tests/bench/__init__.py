"""Benchmarks: ``make bench`` measures the costs and compares them with the bars of the design."""
