"""
What an operator gives: files with secrets, YAML and values, and the errors about them.

Which settings there are is declared in `config`, `alerting` and `web`.
"""
