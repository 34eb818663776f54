"""
Polling: read tables on a schedule within the request budget, and survive failures.

Knows no VergeOS: it is given a source of tables and a function that joins them.
"""
