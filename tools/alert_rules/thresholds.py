"""Values that alert rules share with dashboards and the simulator."""

DOCS = "https://github.com/vergewatch/vergewatch/blob/main/docs"
RUNBOOKS = f"{DOCS}/runbooks"
FLAPPING_RESTARTS = 3
FILESYSTEM_FULL_RATIO = 0.95
CPU_BUSY_RATIO = 0.95
MEMORY_FULL_RATIO = 0.95
REPLICA_AGE_SECONDS = 172_800.0
"""How old the last good replica may be: two days, as most syncs run at least daily."""
API_KEY_SECONDS = 1_209_600.0
"""How long before its expiry an API key is to be replaced: two weeks."""
INVENTORY_AGE_SECONDS = 600.0
