"""
The metrics of the vendor's exporter, with its names, labels and units: the page /metrics/vendor.

They are made of the same inventory as our own. See docs/migrating.md.
"""
