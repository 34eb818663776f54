"""Service discovery: the guests of all systems as targets of Prometheus, by ``http_sd_configs``."""
