"""The simulated platform behind the API: machines, nodes, guests, load and log; no HTTP."""
