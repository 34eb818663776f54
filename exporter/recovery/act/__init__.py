"""
Recovery: carries out one decided action and writes the journal. The only package that changes
anything in VergeOS.
"""
