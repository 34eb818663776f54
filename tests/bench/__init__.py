"""What it costs: ``make bench``. Prints tables, and judges nothing: machines are noisy."""
