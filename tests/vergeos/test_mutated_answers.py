"""Show of the decoder: no crash, no loss beyond the value or the row, and counters that agree."""

import json
import random

from tests.vergeos.mutated_answers import KEYS, MUTANTS, PATHS, ROWS, TABLES, Fuzz, read

ANSWERS = 2500


def test_no_answer_loses_more_than_a_value_or_a_row() -> None:
    fuzz = Fuzz()

    for seed in range(ANSWERS):
        fuzz.play(seed * 7919)  # a prime, so that all tables and values have their turn

    assert fuzz.rows > ANSWERS / 20
    assert fuzz.values > ANSWERS / 4
    assert (fuzz.rows_skipped, fuzz.values_skipped) == (fuzz.rows, fuzz.values)


def test_every_field_of_every_table_is_replaced() -> None:
    fields = {(name, path) for name, path in PATHS if len(path) == 1}

    assert len(TABLES) >= 17
    assert all((name, (field,)) in fields for name, rows in ROWS.items() for field in rows[0])


def test_rows_that_are_replaced_lose_nothing_as_they_are() -> None:
    for name, table in TABLES.items():
        found = read(table, b"[%s]" % b",".join(_rows(name)))
        assert found.rows.keys() == set(KEYS)
        assert (found.skipped, found.skipped_values) == (0, {})


def test_two_odd_rows_in_one_answer_are_both_counted() -> None:
    draw = random.Random(1)
    for name, path in PATHS:
        odd = [one for one in MUTANTS if not one.kinds and b"$key" not in one.text]
        texts = [draw.choice(odd).text for _ in range(2)]
        rows = [b'{"$key":%s}' % text for text in texts]

        clean = read(TABLES[name], b"[%s]" % b",".join(_rows(name)))
        decoded = read(TABLES[name], b"[%s]" % b",".join([*_rows(name), *rows]))

        assert decoded.rows == clean.rows, path
        assert decoded.skipped == 2


def _rows(name: str) -> list[bytes]:
    return [json.dumps(row).encode() for row in ROWS[name]]
