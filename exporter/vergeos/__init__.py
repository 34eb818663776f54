"""
The only package that knows the VergeOS API: how to ask, how to pay for it, and what answers mean.

Facts about the wire are in docs/vergeos-api.md, each with how sure it is.
"""
