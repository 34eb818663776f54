"""
Asking regularly, keeping the newest picture, and surviving failures.

Polling knows no VergeOS: it is handed a source of tables and a way to join them.
"""
