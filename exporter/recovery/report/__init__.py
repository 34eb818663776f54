"""Recovery: explanations, summaries and events as text. Changes no state."""
