"""
The VergeOS API: requests, credentials, the request budget, and decoded rows.

What is asked for is declared by the collectors; what is done with it is decided elsewhere.
"""
