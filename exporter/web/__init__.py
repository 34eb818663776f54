"""What Vergewatch shows over HTTP: metrics that are ready, its health, and a page for people."""
