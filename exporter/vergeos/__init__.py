"""
The adapter for the VergeOS API: requests, their budget, and decoding of responses.

docs/vergeos-api.md lists the facts about the API, each with its certainty.
"""
