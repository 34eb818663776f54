"""The journal: the database of what recovery decided and did. Decides nothing itself."""
