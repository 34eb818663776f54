"""promtool: every alert fires when it must, and does not fire otherwise."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.alert_rules.cases import all_cases
from tests.alert_rules.promtool import promtools, run, write
from tests.debian import needs
from tools.alert_rules.files import rule_files


@pytest.mark.parametrize("program", promtools(), ids=lambda path: Path(path).name)
def test_promtool_passes_every_case(tmp_path: Path, program: str) -> None:
    needs("promtool")
    for path, text in rule_files().items():
        if path.endswith(".rules.yml"):
            (tmp_path / Path(path).name).write_text(text)
    paths = write(all_cases(), tmp_path)

    with ThreadPoolExecutor(4) as pool:
        failures = list(pool.map(lambda path: run(program, [path]), paths))

    assert "".join(failures) == ""


def test_promtool_fails_for_a_wrong_case(tmp_path: Path) -> None:
    program = needs("promtool")
    (tmp_path / "exporter.rules.yml").write_text(rule_files()["alerts/exporter.rules.yml"])
    case = next(
        case for case in all_cases() if case.alert == "VergeSystemDataStale" and case.silent
    )
    wrong = case._replace(silent=(50,), fires={})

    assert run(program, write([wrong], tmp_path))
