"""Every alert fires when it has to, and is quiet otherwise, by promtool's word."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.alert_rules.cases import all_cases
from tests.alert_rules.promtool import promtools, run, write
from tests.debian import needs
from tools.alert_rules.files import rule_files


@pytest.mark.parametrize("program", promtools(), ids=lambda path: Path(path).name)
def test_every_case_comes_out_as_it_should(tmp_path: Path, program: str) -> None:
    needs("promtool")
    for path, text in rule_files().items():
        if path.endswith(".rules.yml"):
            (tmp_path / Path(path).name).write_text(text)
    paths = write(all_cases(), tmp_path)

    with ThreadPoolExecutor(4) as pool:
        complaints = list(pool.map(lambda path: run(program, [path]), paths))

    assert "".join(complaints) == ""


def test_a_case_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    program = needs("promtool")
    (tmp_path / "exporter.rules.yml").write_text(rule_files()["alerts/exporter.rules.yml"])
    case = next(
        case for case in all_cases() if case.alert == "VergeSystemDataStale" and case.silent
    )
    wrong = case._replace(silent=(50,), fires={})

    assert run(program, write([wrong], tmp_path))
