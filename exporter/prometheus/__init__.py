"""Prometheus: the queries that confirm that a VM is down."""
