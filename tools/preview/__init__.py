"""
Previews of dashboards without a Grafana server: real queries, rendered with Grafana's components.

The frame around the panels and the state timelines are drawn by our own page.
"""
