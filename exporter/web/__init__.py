"""The HTTP server: metrics, health endpoints, the recovery API and the status page. No polling."""
