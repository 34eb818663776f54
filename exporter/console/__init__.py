"""What the console, its API and the command line show of the systems: values and choices only."""
