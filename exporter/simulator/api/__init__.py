"""The simulated VergeOS API: routes, tables, queries, accounts, rate limit and response faults."""
