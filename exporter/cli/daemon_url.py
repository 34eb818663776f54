"""Where commands find the running daemon."""

URL_VARIABLE = "VERGEWATCH_DAEMON_URL"
DEFAULT_URL = "http://localhost:9888"
