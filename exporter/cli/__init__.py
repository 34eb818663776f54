"""
The command line: parse arguments, call the daemon or a running daemon, print results. No logic of
the product lives here.
"""
