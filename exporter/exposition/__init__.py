"""
Exposition: render inventories as Prometheus and OpenMetrics text, plain and compressed.

Knows no subject: the collectors declare the metric families.
"""
