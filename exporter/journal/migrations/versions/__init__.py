"""One step each, never changed once it was released."""
