"""
A `Inventory` as Prometheus text.

Pure: values in, bytes out. Nothing here reads a clock, a socket or a setting.
"""
