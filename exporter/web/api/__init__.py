"""The contract of the JSON API below ``/api/v1``."""
