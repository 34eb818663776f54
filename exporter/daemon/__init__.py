"""
The running daemon: composition root, supervision of the watched systems, reload, watchdog. No
HTTP handlers and no rendering.
"""
