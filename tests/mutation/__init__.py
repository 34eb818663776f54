"""
Mutation tests: ``make mutants``.

Changes one expression, statement or alert rule at a time, and runs the tests that must notice. A
mutant that survives shows a behavior that no test requires.
"""
