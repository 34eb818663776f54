"""
Settings: their schema, and loading them from file, environment and secrets. Nothing here connects
to anything.
"""
