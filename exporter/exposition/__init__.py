"""
Exposition: render inventories as Prometheus and OpenMetrics text, plain and compressed.

The collectors declare the metric families; nothing here depends on a subject.
"""
