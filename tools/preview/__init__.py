"""
Pictures of dashboards without a Grafana server: real queries, drawn with Grafana's own components.

A preview and not a screenshot: what is around the panels is ours, and so are state timelines.
"""
