"""
Polling: read tables on a schedule within the request budget, and survive failures.

It receives a source of tables and a function that joins them; nothing here depends on VergeOS.
"""
