"""The committed dashboards are what the code writes, and they show every metric of a VM."""

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from exporter.collectors.registry import FAMILIES
from exporter.model import KNOWN_STATUS_WORDS
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.states import State
from tests.dashboards.promql import selectors
from tests.dashboards.shipped import FOLDER, shipped
from tools.dashboards.__main__ import files
from tools.dashboards.queries import UnknownNameError, series
from tools.dashboards.words import READINESS, STATES, STATUSES, TROUBLE, LabelValues
from tools.preview.dashboard import queries


def test_committed_files_are_what_the_code_writes() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert committed == files(), "run make dashboards"


def test_command_writes_the_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tools.dashboards", str(tmp_path)], check=True)

    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == files()


def test_files_are_the_same_every_time() -> None:
    assert files() == files()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (STATUSES, KNOWN_STATUS_WORDS),
        (STATES, State),
        (READINESS, ReadinessState),
    ],
)
def test_every_word_has_one_meaning(values: LabelValues, words: Collection[str]) -> None:
    meant = [word for meaning in values.meanings for word in meaning.words]

    assert sorted(meant) == sorted(str(word) for word in words)


def test_statuses_that_indicate_a_problem_are_known() -> None:
    assert set(TROUBLE) <= KNOWN_STATUS_WORDS


def test_vm_dashboard_shows_every_metric_of_a_vm() -> None:
    dashboard = shipped()["vm.json"]
    shown = {
        one.metric
        for panel in dashboard.panels()
        for query in queries(panel)
        for one in selectors(query.expr.replace("$", "x"))
    }

    known = {family.name for family in FAMILIES if "vm_id" in family.labels}
    assert known - shown == {"vergewatch_vm_tag_info"}  # only of categories that an owner chose


@pytest.mark.parametrize(
    "expression",
    [
        lambda: series("vm_runing"),
        lambda: series("vm_running", 'cluster_name="one"'),
        lambda: series("vm_running", "system_name"),
        lambda: STATES._replace(label="status").codes("vm_name"),
    ],
)
def test_unknown_metric_or_label_is_an_error(expression: Callable[[], str]) -> None:
    with pytest.raises(UnknownNameError):
        expression()
