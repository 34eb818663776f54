"""The HTTP server: metrics, health endpoints, the API and the console. No polling."""
