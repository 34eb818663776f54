"""The web console: server-rendered pages that work without JavaScript, and forms for commands."""
