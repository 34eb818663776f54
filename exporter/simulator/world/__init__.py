"""
The simulated platform behind the API: machines, nodes, guests, load and the platform log. Knows
no HTTP.
"""
