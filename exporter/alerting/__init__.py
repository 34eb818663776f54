"""What goes to Alertmanagers, and what comes from them: our alerts, and people's silences."""
