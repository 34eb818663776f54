"""The exporter and the API: whether the data of the other dashboards is current, and its cost."""

from functools import partial

from tools.alert_rules import thresholds
from tools.dashboards.page import Page, Panel, Panels, alerts, systems
from tools.dashboards.panels import (
    BYTES,
    RATIO,
    SECONDS,
    SLOW,
    TIME,
    Column,
    events,
    graph,
    number,
    table,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import every, in_range, largest, of_daemons, per_step, series

ACCEPTED = yes_no(("Accepted", "green"), ("Refused", "red"))
PER_MINUTE = "reqpm"


def page() -> Page:
    """Return the dashboard of the exporter and the API."""
    return Page(
        "vergewatch-exporter",
        "Exporter and API",
        "Whether the data is current, how many API requests it costs, and how the process "
        "performs.",
        variables=[systems()],
        annotations=[alerts()],
        sections={
            "": {**_numbers(), "Systems": _systems()},
            "VergeOS tables": {
                "Tables": _tables(),
                "Table polls": _polls(),
                "Table poll duration": _poll_duration(),
            },
            "Requests to VergeOS": _requests(),
            "Process": {**_process(), "Processes": _processes()},
        },
    )


def _numbers() -> Panels:
    return {
        "Scraped": number(
            "Whether Prometheus reaches every Vergewatch that it reached earlier in this range.",
            f"min(up and on (job, instance) last_over_time({series('build_info')}[$__range]))",
            texts=yes_no(("Yes", "green"), ("No", "red")),
            empty="no target",
        ),
        "Systems up": number(
            "up",
            f"min({every('up')})",
            texts=yes_no(("All", "green"), ("Stale", "red")),
            empty="no system",
        ),
        "Authentication": number(
            "authenticated", f"min({every('authenticated')})", texts=ACCEPTED, empty="unknown"
        ),
        "Inventory age": number(
            "inventory_timestamp_seconds",
            f"max(time() - {every('inventory_timestamp_seconds')})",
            unit=SECONDS,
            steps=[(60, "orange"), (thresholds.INVENTORY_AGE_SECONDS, "red")],
            empty="no inventory",
        ),
        "Failed polls": number(
            "Failed polls of tables in this range.",
            f"round(sum({in_range(every('table_failures_total'))}))",
            steps=[(1, "orange")],
        ),
        "Remaining budget": number(
            "api_requests_remaining",
            f"min({every('api_requests_remaining')})",
            base="red",
            steps=[(50, "orange"), (150, "green")],
            empty="unknown",
        ),
        "Settings": number(
            "config_last_reload_successful",
            f"min({series('config_last_reload_successful')})",
            texts=ACCEPTED,
        ),
        "Version": number(
            "build_info", largest("version", series("build_info")), base="text", name="{{version}}"
        ),
    }


def _systems() -> Panel:
    per_system = partial(largest, "system_name")
    age = f"time() - {every('inventory_timestamp_seconds')}"
    snapshots = largest("system_name, vm_id", every("vm_snapshots"))
    return table(
        "Each monitored system.",
        [
            Column("System", "system_name"),
            Column("VergeOS name", "cloud_name"),
            Column("VergeOS", "version"),
            Column(
                "Up", expr=per_system(every("up")), texts=yes_no(("Yes", "green"), ("Stale", "red"))
            ),
            Column("Authentication", expr=per_system(every("authenticated")), texts=ACCEPTED),
            Column("Inventory age", expr=per_system(age), unit=SECONDS),
            Column("Planned requests per hour", expr=per_system(every("api_requests_planned"))),
            Column(
                "Requests remaining",
                expr=per_system(every("api_requests_remaining")),
                steps=[(0, "red"), (50, "orange"), (150, "green")],
            ),
            Column("VM snapshots", expr=f"sum by (system_name) ({snapshots})"),
            Column(
                "Duplicate series",
                expr=per_system(every("duplicate_series")),
                steps=[(1, "orange")],
            ),
        ],
        info=largest("system_name, cloud_name, version", every("system_info")),
        height=5,
    )


def _tables() -> Panel:
    per_table = partial(largest, "system_name, table")

    def counted(counter: str) -> str:
        return f"round(sum by (system_name, table) ({in_range(every(counter))}))"

    age = f"time() - {every('table_last_success_timestamp_seconds')}"
    return table(
        "Result and age of the last poll of each table. Data older than three intervals is not "
        "exported. Failures and skipped rows are counted in this range.",
        [
            Column("Table", "table", 200),
            Column("System", "system_name"),
            Column(
                "Last poll",
                expr=per_table(every("table_success")),
                texts=yes_no(("Succeeded", "green"), ("Failed", "red")),
            ),
            Column(
                "Fresh",
                expr=per_table(every("table_fresh")),
                texts=yes_no(("Yes", "green"), ("Stale", "red")),
            ),
            Column("Age", expr=per_table(age), unit=SECONDS),
            Column("Interval", expr=per_table(every("table_interval_seconds")), unit=SECONDS),
            Column("Duration", expr=per_table(every("table_duration_seconds")), unit=SECONDS),
            Column("Rows", expr=per_table(every("table_rows"))),
            Column("Failures", expr=counted("table_failures_total"), steps=[(1, "orange")]),
            Column("Rows skipped", expr=counted("table_rows_skipped_total"), steps=[(1, "orange")]),
        ],
        height=14,
    )


def _polls() -> Panel:
    both = f"{every('table_fresh')} + {every('table_success')}"
    return timeline(
        "Whether the last poll of each table succeeded, and whether its data is fresh.",
        {"{{table}}": largest("system_name, table", both)},
        width=12,
        height=9,
        texts=texts(
            {
                "2": ("Fresh", "green"),
                "1": ("Failed, last data exported", "orange"),
                "0": ("Stale", "red"),
            }
        ),
    )


def _poll_duration() -> Panel:
    return graph(
        "table_duration_seconds",
        {"{{table}}": largest("table", every("table_duration_seconds"))},
        height=9,
        unit=SECONDS,
        legend_right=True,
    )


def _requests() -> Panels:
    def rate(counter: str, by: str) -> str:
        return f"sum by ({by}) (rate({every(counter)}[$__rate_interval]))"

    def counted(counter: str) -> str:
        return f"sum by (system_name) ({per_step(every(counter))})"

    took = rate("api_request_duration_seconds_sum", "api_endpoint")
    count = rate("api_request_duration_seconds_count", "api_endpoint")
    remaining = every("api_requests_remaining")
    planned = every("api_requests_planned")
    return {
        "Requests by outcome": graph(
            "api_requests_total",
            {"{{outcome}}": f"60 * {rate('api_requests_total', 'outcome')}"},
            width=6,
            height=10,
            unit=PER_MINUTE,
            colors={"ok": "green"},
            stacked=True,
        ),
        "Requests by endpoint": graph(
            "api_requests_total",
            {"{{api_endpoint}}": f"60 * {rate('api_requests_total', 'api_endpoint')}"},
            height=10,
            step=SLOW,
            unit=PER_MINUTE,
            stacked=True,
            legend_right=True,
        ),
        "Budget": graph(
            "Requests that polling may still send in the rolling hour, and those that it plans "
            "to send per hour.",
            {
                "{{system_name}}: remaining": f"min by (system_name) ({remaining})",
                "{{system_name}}: planned per hour": largest("system_name", planned),
            },
            width=6,
            height=10,
        ),
        "Mean request duration": graph(
            "api_request_duration_seconds",
            {"{{api_endpoint}}": f"{took} / ({count} > 0)"},
            height=10,
            step=SLOW,
            unit=SECONDS,
            legend_right=True,
        ),
        "Retries and failures": events(
            "Retried requests and failed polls of tables in each step.",
            {
                "{{system_name}}: request retried": counted("api_retries_total")
                + f" or 0 * max by (system_name) ({every('up')})",
                "{{system_name}}: poll failed": counted("table_failures_total"),
            },
            height=10,
        ),
    }


def _process() -> Panels:
    def per_instance(metric: str) -> str:
        return largest("instance", of_daemons(metric))

    def quantiles(histogram: str) -> dict[str, str]:
        rate = f"rate({series(f'{histogram}_bucket')}[$__rate_interval])"
        buckets = f"sum by (instance, le) ({rate})"
        return {
            "{{instance}}: median": f"histogram_quantile(0.5, {buckets})",
            "{{instance}}: 99th percentile": f"histogram_quantile(0.99, {buckets})",
        }

    scrapes = {"{{instance}}: measured by Prometheus": per_instance("scrape_duration_seconds")}
    renders = largest("system_name", every("render_duration_seconds"))
    cpu = of_daemons(f"rate({series('process_cpu_seconds_total')}[$__rate_interval])")
    return {
        "Event loop lag": graph(
            "event_loop_lag_seconds", quantiles("event_loop_lag_seconds"), width=8, unit=SECONDS
        ),
        "Scrape duration": graph(
            "scrape_duration_seconds",
            quantiles("scrape_duration_seconds") | scrapes,
            width=8,
            unit=SECONDS,
        ),
        "Render duration": graph(
            "render_duration_seconds", {"{{system_name}}": renders}, width=8, unit=SECONDS
        ),
        "CPU": graph(
            "CPU time of the process per second.",
            {"{{instance}}": f"sum by (instance) ({cpu})"},
            width=6,
            unit=RATIO,
        ),
        "Memory": graph(
            "Resident memory of the process.",
            {"{{instance}}": per_instance("process_resident_memory_bytes")},
            width=6,
            unit=BYTES,
        ),
        "Open files": graph(
            "File descriptors that the process has open.",
            {"{{instance}}": per_instance("process_open_fds")},
            width=6,
        ),
        "Samples per scrape": graph(
            "Number of samples in a scrape.",
            {"{{instance}}": per_instance("scrape_samples_scraped")},
            width=6,
        ),
    }


def _processes() -> Panel:
    per_process = partial(largest, "job, instance")
    started = series("process_start_time_seconds")
    accepted = f"1000 * {series('config_last_reload_success_timestamp_seconds')}"
    open_files = f"{series('process_open_fds')} / {series('process_max_fds')}"
    return table(
        "Each scraped process of Vergewatch.",
        [
            Column("Job", "job"),
            Column("Instance", "instance"),
            Column("Version", "version"),
            Column("Python", "pythonversion"),
            Column("Uptime", expr=per_process(f"time() - ({of_daemons(started)})"), unit=SECONDS),
            Column(
                "Restarts in this range",
                expr=per_process(of_daemons(f"changes({started}[$__range])")),
                steps=[(1, "yellow")],
            ),
            Column("Settings loaded", expr=per_process(accepted), unit=TIME),
            Column(
                "Open files, share of limit",
                expr=per_process(of_daemons(open_files)),
                unit=RATIO,
                decimals=1,
            ),
        ],
        info=largest("job, instance, version, pythonversion", series("build_info")),
        height=5,
        sort="Instance",
    )
