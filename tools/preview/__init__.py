"""
Previews of dashboards without a Grafana server: real queries, rendered with Grafana's components.

A preview and not a screenshot: what is around the panels is ours, and so are state timelines.
"""
