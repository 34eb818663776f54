"""
The VergeOS API: requests, credentials, the request budget, and decoded rows.

The collectors declare what is requested.
"""
