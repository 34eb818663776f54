"""
Recovery: why a VM is down, from its status and the log. Pure functions; permission to act is
decided in `decide`.
"""
