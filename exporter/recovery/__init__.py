"""
Recovery: detects crashed VMs and restarts them where that is allowed.

`model`, `observe`, `detect`, `decide` and `verify` are pure; `engine` calls them, and `act` sends
the actions. Settings, HTTP and the database live elsewhere; the ports are in `model.ports`.
"""
