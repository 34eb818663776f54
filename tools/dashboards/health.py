"""The exporter itself, and the API that it asks: is what the other dashboards say still true?"""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel as Drawn

from tools.alert_rules import thresholds
from tools.dashboards.page import Page, Section, alerts
from tools.dashboards.panels import (
    BYTES,
    SECONDS,
    SLOW,
    STEPS,
    Column,
    Query,
    graph,
    now,
    number,
    of,
    rows,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import (
    EVERY_SYSTEM,
    in_range,
    of_us,
    per_step,
    quantile,
    series,
)
from tools.dashboards.variables import datasource, systems
from tools.dashboards.words import GREEN, ORANGE, RED, YELLOW

Panel = Builder[Drawn]

PER_MINUTE = "reqpm"


def page() -> Page:
    """Return the page on the exporter and the API."""
    return Page(
        uid="vergewatch-exporter",
        title="Exporter and API",
        description="Whether Vergewatch sees what it should, what it costs VergeOS, and how the "
        "process is.",
        variables=(datasource(), systems()),
        marks=(alerts(),),
        sections=(
            Section(0, "", [*_numbers(), _systems()]),
            Section(20, "Tables of VergeOS", [_tables(), _table_bands(), _table_times()]),
            Section(30, "Requests to VergeOS", _requests()),
            Section(40, "The process", _process()),
        ),
    )


def every(metric: str, *matchers: str) -> str:
    """Return *metric* of the chosen systems."""
    return series(metric, EVERY_SYSTEM, *matchers)


# --- How it is ---


def _numbers() -> list[Panel]:
    failures = in_range(every("table_failures_total"))
    return [
        number(
            of(
                1,
                "Scraped",
                "Whether Prometheus reaches every Vergewatch that it reached in this range.",
                width=3,
                height=4,
            ),
            now(f"min(up and on (job, instance) last_over_time({series('build_info')}[$__range]))"),
            texts=yes_no(("Yes", GREEN), ("No", RED)),
            empty="no target",
        ),
        number(
            of(2, "Systems up", "up", width=3, height=4),
            now(f"min({every('up')})"),
            texts=yes_no(("All", GREEN), ("Stale", RED)),
            empty="no system",
        ),
        number(
            of(3, "Authentication", "authenticated", width=3, height=4),
            now(f"min({every('authenticated')})"),
            texts=yes_no(("Accepted", GREEN), ("Refused", RED)),
            empty="not known",
        ),
        number(
            of(4, "Inventory age", "inventory_timestamp_seconds", width=3, height=4),
            now(f"max(time() - {every('inventory_timestamp_seconds')})"),
            unit=SECONDS,
            decimals=0,
            steps=[(60, ORANGE), (thresholds.INVENTORY_AGE_SECONDS, RED)],
            empty="no inventory",
        ),
        number(
            of(
                5,
                "Failed polls",
                "Polls of tables in this range that failed.",
                width=3,
                height=4,
            ),
            now(f"round(sum({failures}))"),
            steps=[(1, ORANGE)],
        ),
        number(
            of(6, "Remaining budget", "api_requests_remaining", width=3, height=4),
            now(f"min({every('api_requests_remaining')})"),
            base=RED,
            steps=[(50, ORANGE), (150, GREEN)],
            empty="not known",
        ),
        number(
            of(7, "Settings", "config_last_reload_successful", width=3, height=4),
            now(f"min({series('config_last_reload_successful')})"),
            texts=yes_no(("Accepted", GREEN), ("Refused", RED)),
        ),
        number(
            of(8, "Version", "build_info", width=3, height=4),
            now(f"max by (version) ({series('build_info')})", "{{version}}"),
            named=True,
            base="text",
        ),
    ]


def _systems() -> Panel:
    by = "by (system_name)"
    return rows(
        of(9, "Systems", "Each system that is watched.", width=24, height=5),
        [
            now(f"max by (system_name, cloud_name, version) ({every('system_info')})"),
            now(f"max {by} ({every('up')})"),
            now(f"max {by} ({every('authenticated')})"),
            now(f"max {by} (time() - {every('inventory_timestamp_seconds')})"),
            now(f"max {by} ({every('api_requests_planned')})"),
            now(f"max {by} ({every('api_requests_remaining')})"),
            now(f"max {by} ({every('vm_snapshots')})"),
            now(f"max {by} ({every('duplicate_series')})"),
        ],
        [
            Column("system_name", "System"),
            Column("cloud_name", "Its own name"),
            Column("version", "VergeOS"),
            Column("Value #B", "Seen", texts=yes_no(("Yes", GREEN), ("Stale", RED))),
            Column(
                "Value #C", "Authentication", texts=yes_no(("Accepted", GREEN), ("Refused", RED))
            ),
            Column("Value #D", "Inventory age", unit=SECONDS, decimals=0),
            Column("Value #E", "Planned an hour"),
            Column("Value #F", "Requests left", steps=[(0, RED), (50, ORANGE), (150, GREEN)]),
            Column("Value #G", "VM snapshots"),
            Column("Value #H", "Duplicate series", steps=[(1, ORANGE)]),
        ],
        sort="System",
        hide=["Value #A"],
        empty="no systems",
    )


# --- Tables ---


def _tables() -> Panel:
    by = "by (system_name, table)"
    return rows(
        of(
            21,
            "Tables",
            "Each table of VergeOS that is read: whether that works, and how old the last good "
            "poll is; data older than three intervals is not exported. Failures and "
            "skipped rows are those of this range.",
            width=24,
            height=14,
        ),
        [
            now(f"max {by} ({every('table_success')})"),
            now(f"max {by} ({every('table_fresh')})"),
            now(f"max {by} (time() - {every('table_last_success_timestamp_seconds')})"),
            now(f"max {by} ({every('table_interval_seconds')})"),
            now(f"max {by} ({every('table_duration_seconds')})"),
            now(f"max {by} ({every('table_rows')})"),
            now(f"round(sum {by} ({in_range(every('table_failures_total'))}))"),
            now(f"round(sum {by} ({in_range(every('table_rows_skipped_total'))}))"),
        ],
        [
            Column("table", "Table", 200),
            Column("system_name", "System"),
            Column("Value #A", "Last poll", texts=yes_no(("Worked", GREEN), ("Failed", RED))),
            Column("Value #B", "Shown", texts=yes_no(("Yes", GREEN), ("Too old", RED))),
            Column("Value #C", "Age", unit=SECONDS, decimals=0),
            Column("Value #D", "Read every", unit=SECONDS),
            Column("Value #E", "Took", unit=SECONDS, decimals=0),
            Column("Value #F", "Rows"),
            Column("Value #G", "Failures", steps=[(1, ORANGE)]),
            Column("Value #H", "Rows skipped", steps=[(1, ORANGE)]),
        ],
        sort="Table",
        empty="no tables",
    )


def _table_bands() -> Panel:
    both = f"{every('table_fresh')} + on (system_name, table) {every('table_success')}"
    return timeline(
        of(
            22,
            "Table polls",
            "Whether the last poll of each table succeeded, and whether its data is young enough.",
            width=12,
            height=9,
        ),
        [Query(f"max by (system_name, table) ({both})", "{{table}}")],
        texts=texts(
            {
                "2": ("Read", GREEN),
                "1": ("Failed, last data shown", ORANGE),
                "0": ("Too old", RED),
            }
        ),
    )


def _table_times() -> Panel:
    return graph(
        of(23, "Table poll duration", "table_duration_seconds", width=12, height=9),
        [Query(f"max by (table) ({every('table_duration_seconds')})", "{{table}}")],
        unit=SECONDS,
        wide=True,
    )


# --- Requests ---


def _requests() -> list[Panel]:
    requests = every("api_requests_total")
    took = every("api_request_duration_seconds_sum")
    count = every("api_request_duration_seconds_count")
    rate = "[$__rate_interval]"
    nothing = f"0 * max by (system_name) ({every('up')})"
    return [
        graph(
            of(31, "Requests by outcome", "api_requests_total", width=6, height=10),
            [Query(f"60 * sum by (outcome) (rate({requests}{rate}))", "{{outcome}}")],
            unit=PER_MINUTE,
            stacked=True,
            colours={"ok": "green"},
        ),
        graph(
            of(32, "Requests by what was asked for", "api_requests_total", width=12, height=10),
            [Query(f"60 * sum by (endpoint) (rate({requests}{rate}))", "{{endpoint}}", step=SLOW)],
            unit=PER_MINUTE,
            stacked=True,
            wide=True,
        ),
        graph(
            of(
                33,
                "Budget",
                "Requests that polling may still make within the rolling hour, and what the "
                "schedule makes in an hour.",
                width=6,
                height=10,
            ),
            [
                Query(
                    f"min by (system_name) ({every('api_requests_remaining')})",
                    "{{system_name}}: left",
                ),
                Query(
                    f"max by (system_name) ({every('api_requests_planned')})",
                    "{{system_name}}: planned in an hour",
                ),
            ],
        ),
        graph(
            of(
                34,
                "How long a request takes, mean",
                "api_request_duration_seconds",
                width=12,
                height=10,
            ),
            [
                Query(
                    f"sum by (endpoint) (rate({took}{rate}))"
                    f" / (sum by (endpoint) (rate({count}{rate})) > 0)",
                    "{{endpoint}}",
                    step=SLOW,
                )
            ],
            unit=SECONDS,
            wide=True,
        ),
        graph(
            of(
                35,
                "Retries and failures",
                "Retried requests, and polls of tables that brought nothing usable, in each step.",
                width=12,
                height=10,
            ),
            [
                Query(
                    f"sum by (system_name) ({per_step(every('api_retries_total'))}) or {nothing}",
                    "{{system_name}}: request made again",
                    step=STEPS,
                ),
                Query(
                    f"sum by (system_name) ({per_step(every('table_failures_total'))})",
                    "{{system_name}}: poll failed",
                    step=STEPS,
                ),
            ],
            bars=True,
            stacked=True,
            decimals=0,
        ),
    ]


# --- The process ---


def _process() -> list[Panel]:
    us = "{{instance}}"
    return [
        graph(
            of(41, "Lag of the event loop", "event_loop_lag_seconds", width=8),
            [
                Query(quantile(0.5, "event_loop_lag_seconds", by="instance"), f"{us}: half"),
                Query(quantile(0.99, "event_loop_lag_seconds", by="instance"), f"{us}: 99 %"),
            ],
            unit=SECONDS,
        ),
        graph(
            of(42, "Time to answer a scrape", "scrape_duration_seconds", width=8),
            [
                Query(quantile(0.5, "scrape_duration_seconds", by="instance"), f"{us}: half"),
                Query(quantile(0.99, "scrape_duration_seconds", by="instance"), f"{us}: 99 %"),
                Query(
                    f"max by (instance) ({of_us('scrape_duration_seconds')})",
                    f"{us}: as Prometheus sees it",
                ),
            ],
            unit=SECONDS,
        ),
        graph(
            of(43, "Render duration", "render_duration_seconds", width=8),
            [
                Query(
                    f"max by (system_name) ({every('render_duration_seconds')})", "{{system_name}}"
                )
            ],
            unit=SECONDS,
        ),
        graph(
            of(44, "CPU", "Seconds of CPU time that the process takes in a second.", width=6),
            [
                Query(
                    "sum by (instance) (rate("
                    f"{series('process_cpu_seconds_total')}[$__rate_interval])"
                    f" and on (job, instance) {series('build_info')})",
                    us,
                )
            ],
            unit="percentunit",
        ),
        graph(
            of(45, "Memory", "Resident memory of the process.", width=6),
            [Query(f"max by (instance) ({of_us('process_resident_memory_bytes')})", us)],
            unit=BYTES,
        ),
        graph(
            of(46, "Open files", "File descriptors that the process has open.", width=6),
            [Query(f"max by (instance) ({of_us('process_open_fds')})", us)],
        ),
        graph(
            of(47, "Samples in a scrape", "How many samples a scrape brings.", width=6),
            [Query(f"max by (instance) ({of_us('scrape_samples_scraped')})", us)],
        ),
        rows(
            of(48, "Processes", "Every Vergewatch that is scraped.", width=24, height=5),
            [
                now(f"max by (job, instance, version, pythonversion) ({series('build_info')})"),
                now(f"max by (job, instance) (time() - ({of_us('process_start_time_seconds')}))"),
                now(
                    "max by (job, instance) ("
                    f"changes({series('process_start_time_seconds')}[$__range])"
                    f" and on (job, instance) {series('build_info')})"
                ),
                now(
                    "max by (job, instance) "
                    f"(1000 * {series('config_last_reload_success_timestamp_seconds')})"
                ),
                now(
                    f"max by (job, instance) ({series('process_open_fds')}"
                    f" / {series('process_max_fds')} and on (job, instance) {series('build_info')})"
                ),
            ],
            [
                Column("job", "Job"),
                Column("instance", "Instance"),
                Column("version", "Version"),
                Column("pythonversion", "Python"),
                Column("Value #B", "Uptime", unit=SECONDS, decimals=0),
                Column("Value #C", "Restarts in this range", steps=[(1, YELLOW)]),
                Column("Value #D", "Settings accepted", unit="dateTimeFromNow"),
                Column("Value #E", "Open files, share", unit="percentunit", decimals=1),
            ],
            sort="Instance",
            hide=["Value #A"],
            empty="no process",
        ),
    ]
