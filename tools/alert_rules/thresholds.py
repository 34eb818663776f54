"""Values that alert rules share with dashboards and the simulator."""

from exporter.alerting import config

DOCS = config.RUNBOOKS.removesuffix("/runbooks")
RUNBOOKS = config.RUNBOOKS
FLAPPING_RESTARTS = 3
FILESYSTEM_FULL_RATIO = 0.95
CPU_BUSY_RATIO = 0.95
MEMORY_FULL_RATIO = 0.95
REPLICA_AGE_DAYS = 2
"""How old the last good replica may be: most syncs run at least daily."""
API_KEY_WEEKS = 2
"""How long before its expiry an API key is to be replaced."""
INVENTORY_AGE_SECONDS = 600.0
GATEWAY_LOSS_RATIO = 0.05
GATEWAY_SLOW_SECONDS = 0.25
TENANT_STORAGE_FULL_RATIO = 0.9
