"""Alerts about the daemon and its connection to each system."""

from exporter.alerting.alerts import DEFINITIONS, AlertName
from tools.alert_rules.expressions import (
    DAEMON,
    DAEMON_PAGE,
    EXPORTER_PAGE,
    OF_SYSTEM,
    ON_SYSTEM,
    SYSTEM,
    TABLE,
    by,
)
from tools.alert_rules.model import Alert, Layer, Runbook, Severity, Step
from tools.alert_rules.steps import CHECK, LOGS, RUNNING, TRACEBACK
from tools.alert_rules.thresholds import Thresholds, duration

OF_DAEMON = "Vergewatch at {{ $labels.instance }}"
KNOWN_AGE = "vergewatch_inventory_timestamp_seconds"
LAG = "vergewatch_event_loop_lag_seconds"


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about the daemon and its view."""
    return (
        _down(t), _absent(t), _restarting(t), _blind(t), _refused(t), _table(t), _skipped(t),
        _budget(t), _stalling(t), _reload(t), _duplicates(t), _watchdog(),
    )  # fmt: skip


def _down(t: Thresholds) -> Alert:
    return Alert(
        name="VergeExporterDown",
        severity=Severity.CRITICAL,
        layer=Layer.EXPORTER,
        identity=DAEMON,
        expr=f"{by(DAEMON, f'up{_of_job(t)}')} == 0",
        wait_seconds=t.exporter_down_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Vergewatch cannot be scraped.",
        description=f"{OF_DAEMON} has not answered Prometheus for more than "
        f"{duration(t.exporter_down_seconds)}. VMs are neither monitored nor "
        "restarted. Run `systemctl status vergewatch`.",
        dashboard=DAEMON_PAGE,
        quiet="A restart takes seconds; the wait is minutes.",
        runbook=Runbook(
            meaning="The scrape target exists, and does not answer.",
            impact="No VM is monitored, no VM alert can start, and firing VM alerts end. If the "
            "process is dead, recovery does not act.",
            steps=(
                RUNNING,
                LOGS,
                Step("Check that it answers.", command="curl -sS http://localhost:9888/-/healthy"),
                CHECK,
            ),
            automation="systemd and Docker restart the process when it ends. It exits with code 2 "
            "when the configuration is wrong.",
            mitigation=(
                "`systemctl restart vergewatch`. Recovery goes on from its journal.",
                (
                    "If it answers locally: the firewall, or TLS and the password in Prometheus' "
                    "configuration."
                ),
            ),
            noise="A target that is gone for good: take it out of Prometheus' configuration.",
        ),
    )


def _absent(t: Thresholds) -> Alert:
    return Alert(
        name="VergeExporterAbsent",
        severity=Severity.CRITICAL,
        layer=Layer.EXPORTER,
        identity=("job",),
        expr=f"absent(up{_of_job(t)}) == 1",
        wait_seconds=t.exporter_absent_seconds,
        summary="Prometheus has no Vergewatch target.",
        description="For more than "
        f"{duration(t.exporter_absent_seconds)} Prometheus has had no target in the job "
        "{{ $labels.job }}.",
        dashboard=DAEMON_PAGE,
        quiet="Longer than Prometheus takes to start and to discover its targets.",
        runbook=Runbook(
            meaning="There is no target in the job, neither up nor down: service discovery lost "
            "it, or the job has another name.",
            impact="Nothing is watched, and no other alert of ours can fire.",
            steps=(
                Step("Show the jobs that there are.", promql="count by (job) (up)"),
                RUNNING,
            ),
            automation="None.",
            mitigation=(
                "Put the target back into `scrape_configs`.",
                (
                    f"If your job is not called `{t.job}`: give it that name, or replace the "
                    "name in `alerts/exporter.rules.yml`."
                ),
            ),
            noise="A Prometheus that loads these rules without being the one that scrapes us.",
        ),
    )


def _restarting(t: Thresholds) -> Alert:
    window = duration(t.exporter_restart_window_seconds)
    changes = f"changes(process_start_time_seconds{_of_job(t)}[{window}])"
    return Alert(
        name="VergeExporterRestarting",
        severity=Severity.WARNING,
        layer=Layer.EXPORTER,
        identity=DAEMON,
        expr=f"{by(DAEMON, changes)} > {t.exporter_restarts - 0.5}",
        linger_seconds=t.exporter_restart_linger_seconds,
        summary="Vergewatch restarts repeatedly.",
        description=f'{OF_DAEMON} has started {{{{ $value | printf "%.0f" }}}} times within '
        f"{window}. After each start recovery does nothing for ten minutes.",
        dashboard=DAEMON_PAGE,
        quiet="An update is one restart; configuration work may be three.",
        runbook=Runbook(
            meaning="The process ends, and its supervisor restarts it.",
            impact="The metrics have gaps, and recovery never completes its warm-up.",
            steps=(
                Step("How did it end? 2 is the configuration, 137 was killed for its memory.",
                     command="systemctl status vergewatch"),
                TRACEBACK,
                Step("Check its memory usage.", promql="process_resident_memory_bytes"),
            ),
            automation="The supervisor starts it again.",
            mitigation=(
                "Raise the memory limit if that killed it.",
                "Go back to the version before, and report the traceback.",
            ),
            noise="Configuration work on the host.",
        ),
    )  # fmt: skip


def _blind(t: Thresholds) -> Alert:
    return Alert(
        name="VergeSystemDataStale",
        severity=Severity.CRITICAL,
        layer=Layer.SYSTEM,
        identity=SYSTEM,
        expr=f"""\
{by(SYSTEM, "vergewatch_up")} == 0
or
time() - {by(SYSTEM, KNOWN_AGE)} > {t.snapshot_age_seconds:.15g}""",
        wait_seconds=t.outage_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.SYSTEM_DATA_STALE].summary,
        description="Vergewatch has had no fresh inventory of system "
        "{{ $labels.system_name }} for more "
        f"than {duration(t.outage_seconds)}."
        "{{ with printf `time() - vergewatch_inventory_timestamp_seconds{system_name=%q}` "
        "$labels.system_name | query }} The last one is {{ . | first | value | humanizeDuration }} "
        "old.{{ end }} Its VMs are not monitored, and recovery does not act. "
        "Run `vergewatch check`.",
        dashboard=EXPORTER_PAGE,
        quiet="Inventories are kept for a minute after polls fail, and the wait comes on top. It "
              "mutes the alerts of the VMs and nodes of the system, which neither fire nor "
              "resolve meanwhile.",
        runbook=Runbook(
            meaning="The tables `vms` and `machine_status` could not be read, or are stale.",
            impact="The VM series are missing from `/metrics`. A crash is not detected, and "
                   "recovery does not act.",
            steps=(
                CHECK,
                Step("Show the outcomes of requests.",
                     promql="sum by (system_name, outcome) "
                     "(rate(vergewatch_api_requests_total[5m]))"),
                Step("List the failing tables.", promql="vergewatch_table_success == 0"),
                LOGS,
            ),
            automation="Polls continue more slowly. Recovery warms up when polls succeed again.",
            mitigation=(
                "If VergeOS' own pages do not open either: it is VergeOS, or the network.",
                ("If they do: the name, the certificate (`tls.ca_file`), a proxy or a firewall "
                "between here and there."),
            ),
            noise="An update of VergeOS: silence the system for its duration.",
        ),
    )  # fmt: skip


def _refused(t: Thresholds) -> Alert:
    return Alert(
        name="VergeAuthenticationFailed",
        severity=Severity.CRITICAL,
        layer=Layer.SYSTEM,
        identity=SYSTEM,
        expr=f"{by(SYSTEM, 'vergewatch_authenticated')} == 0",
        linger_seconds=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.AUTHENTICATION_FAILED].summary,
        description=f"The API of {OF_SYSTEM} rejects our key or password. "
        "To avoid locking the account, "
        "Vergewatch sends no request for half an hour, unless the secret changes. Run "
        "`journalctl -u vergewatch`.",
        dashboard=EXPORTER_PAGE,
        quiet="One rejection is enough: it does not end by itself. It mutes VergeSystemDataStale.",
        runbook=Runbook(
            meaning="VergeOS answered 401.",
            impact="The system is not monitored, and recovery does not act.",
            steps=(
                LOGS,
                Step("Check the other systems.",
                     promql="vergewatch_authenticated == 0"),
                Step("In VergeOS, check that the key exists and has not expired, that its user is "
                     "enabled, and that its address is allowed."),
            ),
            automation="Vergewatch asks again after half an hour, and at once when the file of the "
            "secret changes.",
            mitigation=(
                "Put a valid key into the file of the secret. There is no need to restart.",
                ("Do not run `vergewatch check` over and over: each refused login counts towards "
                "locking the account."),
            ),
            noise="None.",
        ),
    )  # fmt: skip


def _table(t: Thresholds) -> Alert:
    return Alert(
        name="VergeTableFailing",
        severity=Severity.WARNING,
        layer=Layer.SYSTEM,
        identity=TABLE,
        expr=f"{by(TABLE, 'vergewatch_table_fresh')} == 0",
        wait_seconds=t.table_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A table of a system cannot be read.",
        description=f"Table {{{{ $labels.table }}}} of {OF_SYSTEM} could not be read for three "
        f"times its interval and {duration(t.table_seconds)} more; its metrics are missing.",
        dashboard=EXPORTER_PAGE,
        quiet="The wait follows each table's interval. Muted while the whole system is stale.",
        runbook=Runbook(
            meaning="One list of the API fails while others work.",
            impact="The metrics of that table are missing from `/metrics`. Without `tag_members`, "
                   "recovery cannot read which VMs are enrolled.",
            steps=(
                CHECK,
                Step("List the failing tables and the age of their data.",
                     promql="time() - vergewatch_table_last_success_timestamp_seconds "
                     "and vergewatch_table_success == 0"),
                LOGS,
            ),
            automation="It is read again at each of its intervals.",
            mitigation=(
                "Permission denied: let the user of the key list that table.",
                "Too large: raise `api.max_answer_mib`, or set `api.page_rows`.",
                "Too slow: raise `api.timeout_seconds`.",
            ),
            noise="A release of VergeOS that has no such table; please report it.",
        ),
    )  # fmt: skip


def _skipped(t: Thresholds) -> Alert:
    window = duration(t.rows_skipped_window_seconds)
    return Alert(
        name="VergeRowsSkipped",
        severity=Severity.WARNING,
        layer=Layer.SYSTEM,
        identity=TABLE,
        expr="sum by (system_name, table) "
        f"(increase(vergewatch_table_rows_skipped_total[{window}])) > 0.5",
        wait_seconds=t.rows_skipped_seconds,
        summary="Rows of a table cannot be decoded.",
        description=f"Rows of table {{{{ $labels.table }}}} of {OF_SYSTEM} have been left out for "
        f"more than {duration(t.rows_skipped_seconds)}, because they could not be understood.",
        dashboard=EXPORTER_PAGE,
        quiet="One faulty row in one poll does not fire; this needs several polls.",
        runbook=Runbook(
            meaning="VergeOS returns rows with unknown fields or types.",
            impact="Some VMs or parts of them are missing from `/metrics`. Recovery rejects an "
                   "inventory that lacks too many.",
            steps=(
                LOGS,
                Step("Count them.",
                     promql="sum by (system_name, table) "
                     "(increase(vergewatch_table_rows_skipped_total[1h]))"),
                Step("Show the version of VergeOS.", promql="vergewatch_system_info"),
            ),
            automation="The rest of the table is used.",
            mitigation=("Update Vergewatch; if there is no newer one, report the row in the log.",),
            noise="None is known.",
        ),
    )  # fmt: skip


def _budget(t: Thresholds) -> Alert:
    return Alert(
        name="VergeAPIBudgetLow",
        severity=Severity.WARNING,
        layer=Layer.SYSTEM,
        identity=SYSTEM,
        expr=f"""\
{by(SYSTEM, "vergewatch_api_requests_remaining")}
< {ON_SYSTEM}
{t.budget_left_ratio} * {by(SYSTEM, "vergewatch_api_requests_planned")}""",
        wait_seconds=t.budget_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="The API request budget of a system is nearly used.",
        description=f"Vergewatch may make only {{{{ $value }}}} more request(s) to {OF_SYSTEM} "
        f"in this hour, for more than {duration(t.budget_seconds)} now. Polls are delayed.",
        dashboard=EXPORTER_PAGE,
        quiet="The schedule fits the budget; only long series of retries get here.",
        runbook=Runbook(
            meaning="Vergewatch sent more requests than planned: retries, pages, logins.",
            impact="Polls are delayed and inventories get older. The reserve of recovery is kept.",
            steps=(
                Step("Show the endpoints with the most requests.",
                     promql="topk(5, sum by (system_name, endpoint) "
                     "(increase(vergewatch_api_requests_total[1h])))"),
                Step("Count the retries.",
                     promql="sum by (system_name, endpoint) "
                     "(increase(vergewatch_api_retries_total[1h]))"),
                Step("Show the remaining budget.", promql="vergewatch_api_requests_remaining"),
            ),
            automation="Polling slows down; the reserve of recovery is kept.",
            mitigation=(
                "Raise `poll.slow_seconds`, then `poll.fast_seconds`.",
                "If your VergeOS allows more: raise `api.requests_per_hour`.",
                "Give each program a key of its own; the limit counts by key.",
            ),
            noise="An hour in which VergeOS was restarted.",
        ),
    )  # fmt: skip


def _stalling(t: Thresholds) -> Alert:
    window = duration(t.stall_window_seconds)
    within = f'sum by (job, instance) (rate({LAG}_bucket{{le="{t.stall_bucket}"}}[{window}]))'
    return Alert(
        name="VergeEventLoopStalling",
        severity=Severity.WARNING,
        layer=Layer.EXPORTER,
        identity=DAEMON,
        expr=f"""\
1 - {within}
  / (sum by (job, instance) (rate({LAG}_count[{window}])) > 0)
> {t.stall_ratio}""",
        wait_seconds=t.stall_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Vergewatch is late for its own timers.",
        description=f"{OF_DAEMON} has been late by more than {t.stall_bucket} s in "
        f"{{{{ $value | humanizePercentage }}}} of the times, for more than "
        f"{duration(t.stall_seconds)}.",
        dashboard=DAEMON_PAGE,
        quiet="A single stall does not show: it takes one in a hundred measurements, for ten "
        "minutes.",
        runbook=Runbook(
            meaning="The process does not get to run when it wants to: too little CPU, swapping, "
            "or work that takes too long at a time.",
            impact="Scrapes are slow, and inventories are dated less exactly. Recovery "
            "rejects an inventory whose poll took too long.",
            steps=(
                Step("Check its CPU usage.", promql="rate(process_cpu_seconds_total[5m])"),
                Step("Check the CPU pressure of the host.", command="cat /proc/pressure/cpu"),
                Step("Check the render duration.", promql="vergewatch_render_duration_seconds"),
            ),
            automation="systemd's watchdog restarts a loop that hangs altogether.",
            mitigation=(
                "Give the process more CPU.",
                "Poll fewer systems with one process.",
            ),
            noise="A machine that is suspended for backups.",
        ),
    )


def _reload(t: Thresholds) -> Alert:
    return Alert(
        name="VergeReloadFailed",
        severity=Severity.WARNING,
        layer=Layer.EXPORTER,
        identity=DAEMON,
        expr=f"{by(DAEMON, 'vergewatch_config_last_reload_successful')} == 0",
        wait_seconds=t.reload_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="The last configuration reload failed.",
        description=f"{OF_DAEMON} refused its configuration when it last read it, and goes on with "
        "the one before.",
        dashboard=DAEMON_PAGE,
        quiet="The wait of five minutes covers edits in progress.",
        runbook=Runbook(
            meaning="The changed configuration is invalid.",
            impact="None yet. At the next restart Vergewatch will not start.",
            steps=(
                CHECK,
                Step("Show the age of the last good configuration.",
                     promql="time() - "
                     "vergewatch_config_last_reload_success_timestamp_seconds"),
            ),
            automation="The old configuration stays in force.",
            mitigation=(
                "Correct what `check` names, and reload: `systemctl reload vergewatch`.",
                "Put the old file back.",
            ),
            noise="None.",
        ),
    )  # fmt: skip


def _duplicates(t: Thresholds) -> Alert:
    return Alert(
        name="VergeDuplicateSeries",
        severity=Severity.INFO,
        layer=Layer.SYSTEM,
        identity=SYSTEM,
        expr=f"{by(SYSTEM, 'vergewatch_duplicate_series')} > 0",
        wait_seconds=t.duplicates_seconds,
        summary="A system has duplicate series.",
        description=f"{{{{ $value }}}} label set(s) of {OF_SYSTEM} occur twice; of each, only the "
        "first is shown.",
        dashboard=EXPORTER_PAGE,
        quiet="No notification is sent: two mounts of one name in a guest are valid.",
        runbook=Runbook(
            meaning="Two rows come to the same labels, such as two filesystems with one mount "
            "point.",
            impact="The second one's numbers are not seen.",
            steps=(
                Step("The log names each label set once.",
                     command="journalctl -u vergewatch --grep series.duplicate"),
                Step("Count them.", promql="vergewatch_duplicate_series > 0"),
            ),
            automation="The first of two is kept, always.",
            mitigation=("Give one of them another name, where that is possible.",),
            noise="Bind mounts and overlays in guests.",
        ),
    )  # fmt: skip


def _watchdog() -> Alert:
    return Alert(
        name="VergeWatchdog",
        severity=Severity.NONE,
        layer=Layer.INHIBITOR,
        identity=(),
        expr="vector(1) == 1",
        summary="Alerting works.",
        description="This alert always fires. When it stops arriving, Prometheus, Alertmanager or "
                    "the connection between them is broken. Run `amtool alert query "
                    "alertname=VergeWatchdog`.",
        dashboard=DAEMON_PAGE,
        quiet="Send it to a dead man's switch only.",
        runbook=Runbook(
            meaning="A test of the whole chain, from the rules to the receiver.",
            impact="While it is missing, no alert is delivered.",
            steps=(
                Step("Check that it fires.", promql='ALERTS{alertname="VergeWatchdog"}'),
                Step("Check that Alertmanager received it.",
                     command="amtool alert query alertname=VergeWatchdog"),
            ),
            automation="None: it needs a receiver outside, a dead man's switch.",
            mitigation=("Restart what is missing in the chain: Prometheus, then Alertmanager.",),
            noise="This alert is not meant for people.",
        ),
    )  # fmt: skip


def _of_job(t: Thresholds) -> str:
    return f'{{job="{t.job}"}}'
