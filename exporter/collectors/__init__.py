"""
One file per subject: which rows VergeOS is asked for, and which metrics follow from them. No I/O
and no rendering.
"""
