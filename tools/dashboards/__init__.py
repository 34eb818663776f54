"""
Grafana dashboards, one module each, built from the catalog of metrics.

`python -m tools.dashboards DIRECTORY` writes them as JSON with grafana-foundation-sdk, which is a
dependency of development only.
"""
