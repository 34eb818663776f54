"""Recovery: explanations, summaries and events for people. Reads state, changes none."""
