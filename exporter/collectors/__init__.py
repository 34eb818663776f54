"""
One file per subject: the rows that are requested, and the metrics made of them. No I/O and no
rendering.
"""
