"""
Grafana dashboards, written from the catalogue of metrics.

`python -m tools.dashboards DIRECTORY` writes them as JSON. The daemon never imports this: what
it builds with, grafana-foundation-sdk, is a tool for development.
"""
