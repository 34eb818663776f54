"""
Answers of VergeOS in which one value was replaced, and what may be lost by that.

``make fuzz-answers`` decodes 100,000 of them: every field of every table gets every kind of JSON,
and what is none. A failure is printed with its seed; ``--seed SEED --answers 1`` repeats it.
"""

import argparse
import json
import logging
import random
import sys
import time
import typing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import structlog

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.errors import BadReplyError
from exporter.polling.state import TableRows
from exporter.recovery.model.platform_log import LogTable
from exporter.telemetry import Telemetry
from exporter.vergeos.recovery_rows import LOGS, LONE_VMS, TAG_MEMBERS
from exporter.vergeos.rows import Reference, decode
from exporter.vergeos.skipped_fields import SkippedFields
from exporter.vergeos.tables import Table

TABLES: Mapping[str, Table] = {
    **{table.name: table for table in tables_of(COLLECTORS)},
    **{f"log {table}": LOGS[table] for table in LogTable},
    "vms read alone": LONE_VMS,
    TAG_MEMBERS.name: TAG_MEMBERS,
}
Path = tuple[str | int, ...]
KEYS = (70001, 70002, 70003)
"""Of the rows of an answer; no replaced value is one of them."""
IDENTITY: Mapping[str, frozenset[str]] = {
    "vms": frozenset({"$key", "machine"}),
    "machine_status": frozenset({"machine"}),
    "guests": frozenset({"machine"}),
    "machine_stats": frozenset({"machine"}),
    "machine_nics": frozenset({"$key", "machine"}),
    "machine_drives": frozenset({"$key", "machine"}),
    "machine_devices": frozenset({"$key", "machine"}),
    "machine_drive_stats": frozenset({"parent_drive"}),
    "machine_snapshots": frozenset({"$key", "machine"}),
    "nodes": frozenset({"id"}),
    "node_details": frozenset({"id"}),
    "node_memory": frozenset({"$key", "node"}),
    "machine_nic_fabric_status": frozenset({"$key", "parent_nic"}),
    "node_lldp_neighbors": frozenset({"$key", "node"}),
    "node_gpus": frozenset({"$key", "node"}),
    "tags": frozenset({"$key", "member"}),
    "vnet_monitor": frozenset({"$key", "vnet"}),
    "tenant_stats": frozenset({"$key", "tenant"}),
    "tenant_nodes": frozenset({"$key", "tenant"}),
    "tenant_storage": frozenset({"$key", "tenant"}),
}
"""The fields without which a row is skipped; of the other tables, ``$key``."""
LEFT_OUT_BY = frozenset({"is_snapshot", "member"})
"""Fields of which some values mean that a row is not one of the table."""
NEEDED = {"log machine_logs": 2, "log logs": 1}
"""The values that a row of a log is odd without: its time, and what it is about."""
VALUES: Mapping[str, Any] = {
    "status": "running", "tier_status": "online", "timestamp": 1_755_993_338_250_000,
    "object_type": "vm", "is_snapshot": False, "service": None,
}  # fmt: skip
FAILURES_SHOWN = 20
DECIDED_LATER = ("mountpoint", "tag_name", "category_name", "member", "text")
"""Fields, with those of `VALUES`, of which the type alone does not decide what can be read."""
DEEP = b"[" * 1100 + b"]" * 1100
CHECKED_KINDS = ("bool", "int", "float", "str")


class Mutant(NamedTuple):
    """What takes the place of a value."""

    text: bytes
    kinds: str
    """The kinds of value that it can be read as, as far as that does not depend on the field."""


ALL = "bool int float str"
MUTANTS: Sequence[Mutant] = tuple(
    Mutant(text, kinds)
    for kinds, texts in {
        ALL: (b"null", b'"null"'),
        "bool": (b"true", b"false"),
        "bool int float": (b"0", b"-0", b"1"),
        "int float": (b"7", b"1e3"),
        "bool int float str": (b'"0"', b'"1"'),
        "int float str": (b'"7"', b'"1e3"'),
        "float": (b"1.5", b"1e308", b"-1.5"),
        "float str": (b'"1.5"', b'"nan"', b'"inf"', b'"-Infinity"'),
        "bool str": (b'"true"', b'"False"'),
        "str": (
            b'""', b'"x"', b'"a\\u0000b"', b'"\\ud83d\\ude00"', '"\ufeffä"'.encode(),
            b'"a\\"},{\\"$key\\":70002,\\"b"', b'"]"', b'"}"', b'"[{"', b'"' + b"n" * 1024 + b'"',
        ),
        "": (
            b"[]", b"{}", b"[null]", b"[[]]", b'{"a":1}', b'{"$key":7}', b'["x"]', b'{"a":[{}]}',
            b"NaN", b"Infinity", b"-Infinity", b"nan", b"None", b"undefined", b"True", b"'x'",
            b"007", b"+1", b".5", b"0x10", b"1e400", b"-1e400", b"9" * 400, b"9" * 5000,
            b'"\\ud800"', b'"\\udc00x"', b'"x\\ud800"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"',
            b'"a\x00b"', b'"a\nb"', b'"\x1f"', b'"\\x"', b'"\\u12"', b'"' + b"n" * 5000 + b'"',
            b'{"$key":NaN}', b'{"a":"\\ud800"}', b"[NaN,1]", b'[{"a":"\xff"}]', DEEP,
        ),
    }.items()
    for text in texts
)  # fmt: skip
BESIDE: Sequence[bytes] = (
    b'"\\ud800":1', b'"x":"\\ud800"', b'"x":NaN', b'"\xff":"\xff"', b'"x":' + DEEP, b'"a\x00b":1',
    b'"":[]', b'"x":{"machine":7,"$key":NaN}', b'"x":"},{"',
)  # fmt: skip
"""Members that no table has."""
BOM = b"\xef\xbb\xbf"


class Answer(NamedTuple):
    """An answer of which one row was changed."""

    table: str
    body: bytes
    path: Path
    """Where the value was replaced; empty if another was added or a whole row was replaced."""
    mutant: Mutant
    number: int
    """Of the row that was changed."""
    without: bytes
    """The answer without that value."""
    is_row: bool = False
    """Whether the whole row was replaced."""
    is_cut: bool = False


def structs_of(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for one in typing.get_args(kind):
        yield from structs_of(one)


def _identity(kind: type[msgspec.Struct], number: int) -> dict[str, str]:
    """Return a value of its own for the field that distinguishes the items of a list."""
    return {"mountpoint": f"/{number}"} if hasattr(kind, "mountpoint") else {}


def sample(kind: Any, name: str, key: int) -> Any:
    """Return a value of a field that can be read."""
    if name in VALUES and not any(structs_of(kind)):
        return VALUES[name]
    if name == "member":
        return f"vms/{key}"
    if kind == Reference:
        return key
    if typing.get_origin(kind) is typing.Annotated:
        return sample(typing.get_args(kind)[0], name, key)
    kinds = typing.get_args(kind) if typing.get_origin(kind) not in (list, dict) else (kind,)
    for one in kinds or (kind,):
        if typing.get_origin(one) is list and typing.get_args(one)[0] is not Any:
            (item,) = typing.get_args(one)
            return [sample(item, name, number) | _identity(item, number) for number in (1, 2, 3)]
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return row_of(one, key)
    plain = str(kinds or kind)
    if "bool" in plain:
        return True
    if "str" in plain:
        return f"{name}-x"
    return 5 if "int" in plain else 2.5


def row_of(struct: type[msgspec.Struct], key: int) -> dict[str, Any]:
    """Return a row with a value for every field."""
    return {
        field.encode_name: sample(field.type, field.encode_name, key)
        for field in msgspec.structs.fields(struct)
    }


def paths(value: Any, prefix: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in *value*."""
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for name, inner in items:
        yield (*prefix, name)
        yield from paths(inner, (*prefix, name))


def changed(value: Any, path: Path, *, to: Any = ...) -> Any:
    """Return *value* with another one at *path*, or without it."""
    copy = value.copy()
    if len(path) > 1:
        copy[path[0]] = changed(value[path[0]], path[1:], to=to)
    elif to is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = to
    return copy


def field_of(path: Path) -> str:
    """Return the name of a path in the counter."""
    return "".join("[]" if isinstance(one, int) else f".{one}" for one in path)[1:]


ROWS = {name: [row_of(table.row, key) for key in KEYS] for name, table in TABLES.items()}
PATHS = [(name, path) for name, rows in ROWS.items() for path in paths(rows[0])]


def make(seed: int) -> Answer:
    """Return the answer of a seed; the fields and what replaces them take turns."""
    draw = random.Random(seed)
    number = draw.randrange(len(KEYS))
    mutant = MUTANTS[(seed // len(PATHS)) % len(MUTANTS)]
    table, path = PATHS[seed % len(PATHS)]
    rows = ROWS[table]
    clean = [json.dumps(row, ensure_ascii=draw.random() < 0.5).encode() for row in rows]
    without = [*clean]
    without[number] = json.dumps(changed(rows[number], path)).encode()
    how = draw.random()
    if how < 0.9:
        marked = json.dumps(changed(rows[number], path, to="MUTANT")).encode()
        text = draw.choice((b"", b" ", BOM)) + mutant.text + draw.choice((b"", b"", b"\n"))
        clean[number] = marked.replace(b'"MUTANT"', text)
    elif how < 0.95:
        path, without = (), [*clean]
        beside = draw.choice(BESIDE)
        clean[number] = clean[number][:1] + beside + b"," + clean[number][1:]
    else:
        path = ()
        clean[number] = mutant.text
        del without[number]
    blank = draw.choice((b",", b" , ", b",\r\n", b"," + BOM))
    body = draw.choice((b"", b"", BOM)) + b"[" + blank.join(clean) + b"]"
    is_cut = draw.random() < 0.01
    return Answer(
        table,
        body[: draw.randrange(len(body))] if is_cut else body,
        path,
        mutant,
        number,
        b"[" + b",".join(without) + b"]",
        is_row=how >= 0.95,
        is_cut=is_cut,
    )


def read(table: Table, body: bytes) -> TableRows[dict[int, Any]]:
    return decode(body, table.path, table.row, table.convert, table.key)


def plain(value: Any) -> Any:
    """Return a converted row for comparison, without what could not be read of it."""
    if isinstance(value, msgspec.Struct) and hasattr(value, "unreadable"):
        return msgspec.structs.replace(value, unreadable=frozenset())
    if hasattr(value, "_replace"):
        return value._replace(unreadable=frozenset())
    return value


def parts(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return every part of a converted row by its path; entries of lists by their mount points."""
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found |= parts(inner, f"{prefix}.{name}")
        return found
    if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        return parts({one.mountpoint: one for one in value}, prefix)
    return {prefix: value}


class Found(NamedTuple):
    """What an answer lost."""

    rows: int = 0
    values: int = 0


class Fuzz:
    """Decodes answers, and counts what they lose beside the counters of the product."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self._counter = SkippedFields(self.telemetry.meter("system"))
        self._clean = {
            name: read(TABLES[name], json.dumps(rows).encode()).rows for name, rows in ROWS.items()
        }
        assert all(len(rows) == len(KEYS) for rows in self._clean.values())
        self.rows_skipped = 0
        """By the product."""
        self.rows = self.values = self.cut = 0
        """By this test."""

    @property
    def values_skipped(self) -> int:
        """Return the values that the product counted."""
        samples = self.telemetry["table_fields_skipped_total"].collect()[0].samples
        return int(sum(one.value for one in samples))

    def play(self, seed: int) -> None:
        """Decode the answer of a seed; raise an `AssertionError` if it lost too much."""
        answer = make(seed)
        table = TABLES[answer.table]
        if answer.is_cut:
            self.cut += 1
            try:
                table.decode(answer.body)
            except BadReplyError:
                return
            raise AssertionError(f"seed {seed}: a part of an answer was taken for all of it")
        decoded = read(table, answer.body)
        self._counter.count(answer.table, decoded)
        self.rows_skipped += decoded.skipped
        problem, found = self._judge(answer, decoded)
        assert not problem, f"seed {seed}: {problem} {describe(answer)} {decoded}"
        agrees = found.values == sum(one.number for one in decoded.skipped_values.values())
        assert agrees, f"seed {seed}: {found} {describe(answer)} {decoded.skipped_values}"
        table.collect(decoded)
        self.rows += found.rows
        self.values += found.values

    def _judge(self, answer: Answer, decoded: TableRows[Any]) -> tuple[str, Found]:
        """Return what is wrong, if anything, and what the answer lost by what is left of it."""
        rows, clean = decoded.rows, self._clean[answer.table]
        key = KEYS[answer.number]
        for other, row in clean.items():
            if other != key and plain(rows.get(other)) != plain(row):
                return f"row {other} was lost or changed", Found()
        name = str(answer.path[0]) if answer.path else ""
        lost = {field: one.number for field, one in decoded.skipped_values.items()}
        new = rows.keys() - clean.keys()
        if not answer.path and not answer.is_row:
            same = plain(rows.get(key)) == plain(clean[key]) and not lost
            return "" if same else "a member that no table has cost something", Found()
        if key not in rows and not new:
            is_left_out = name in LEFT_OUT_BY and not decoded.skipped
            if is_left_out and lost == {name: 1}:
                return "", Found(values=1)
            may_be = answer.is_row or name in IDENTITY.get(answer.table, {"$key"}) or is_left_out
            wrong = "" if may_be and not lost else "the row was lost, or counted twice"
            return wrong, Found(rows=not is_left_out)
        if answer.is_row:  # with a key of its own, where no other is needed
            wrong = "" if new == {7} else "a row came from nowhere"
            return wrong, Found(values=NEEDED.get(answer.table, 0))
        row = rows[key if key in rows else next(iter(new))]
        if lost:
            return self._judge_lost(answer, lost, row)
        kinds = kinds_of(answer.table, answer.path)
        if kinds and not set(kinds) & set(answer.mutant.kinds.split()):
            return "a value that cannot be read was not counted", Found()
        return self._changed_elsewhere(answer, row, clean[key]), Found()

    def _judge_lost(self, answer: Answer, lost: Mapping[str, int], row: Any) -> tuple[str, Found]:
        path = answer.path
        field = field_of(path)
        kinds = kinds_of(answer.table, path)
        if kinds and set(kinds) & set(answer.mutant.kinds.split()):
            return "a value that can be read was lost", Found()
        if not all(one.startswith(field) or field.startswith(one) for one in lost):
            return "another value was lost", Found()
        without = answer.without
        if field.endswith("[].mountpoint"):  # without it, so is the filesystem
            rows = [*ROWS[answer.table]]
            rows[answer.number] = changed(rows[answer.number], path[:-1])
            without = json.dumps(rows).encode()
        expected = read(TABLES[answer.table], without).rows
        key = KEYS[answer.number]
        absent = expected.get(key)
        if absent is None:  # the key of a row that has another one too
            absent = self._clean[answer.table][key]
        wrong = self._unlike(answer, row, absent)
        entries = list_entries(answer.mutant.text) if is_list(answer) else 1
        return wrong, Found(values=entries)

    def _unlike(self, answer: Answer, row: Any, absent: Any) -> str:
        one, other = (parts_of(plain(value)) for value in (row, absent))
        different = {part for part in one.keys() | other.keys() if one.get(part) != other.get(part)}
        allowed = {
            "text": {".text", ".unreadable"},
            "tier_status": {".tier_status"},
            "tag_name": {""},
            "category_name": {""},
            "machine": {".machine", ".unreadable"},
        }.get(str(answer.path[0]), set())
        if answer.table in ("nodes", "clusters") or different <= allowed:
            different -= allowed
        return f"it differs from a row without the value in {different}" if different else ""

    def _changed_elsewhere(self, answer: Answer, row: Any, clean: Any) -> str:
        """Return what changed that does not depend on the value that was replaced."""
        depends = DEPENDS[answer.table, answer.path[0]]
        one, other = parts_of(row), parts_of(clean)
        different = {
            part for part in one.keys() | other.keys()
            if one.get(part) != other.get(part) and not part.startswith(tuple(depends))
        }  # fmt: skip
        return f"other values changed: {different}" if different else ""


def parts_of(value: Any) -> dict[str, Any]:
    return parts(value._asdict() if hasattr(value, "_asdict") else value)


@cache
def kinds_of(table: str, path: Path) -> tuple[str, ...]:
    """Return the kinds of a field that is a plain value, else nothing."""
    struct: Any = TABLES[table].row
    kind: Any = None
    for name in path:
        if isinstance(name, int):
            continue
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        kind = fields[name].type
        struct = next((one for one in structs_of(kind)), None)
    if isinstance(path[-1], int) or struct is not None or kind == Reference or kind is Any:
        return ()
    if path[-1] in VALUES or path[-1] in (
        "mountpoint",
        "tag_name",
        "category_name",
        "member",
        "text",
    ):
        return ()  # what they may be depends on more than their type
    text = str(kind)
    return tuple(one for one in CHECKED_KINDS if one in text)


def is_list(answer: Answer) -> bool:
    return answer.path[-1] == "fsinfo"


def list_entries(text: bytes) -> int:
    """Return how many filesystems a mutant has; one that is none itself is one value."""
    return {b"[NaN,1]": 2}.get(text, 1)


def describe(answer: Answer) -> str:
    return f"{answer.table} {field_of(answer.path)} := {answer.mutant.text[:60]!r}"


def _dependents() -> dict[tuple[str, str | int], frozenset[str]]:
    """Return which parts of a converted row depend on a field, by trying other values."""
    found: dict[tuple[str, str | int], frozenset[str]] = {}
    others: tuple[Any, ...] = ("7", 7, True, False, None, "x", {"$key": 9}, [], ["x"], "9", 0, 1.5)
    for name, rows in ROWS.items():
        before = parts_of(
            next(iter(read(TABLES[name], json.dumps(rows[:1]).encode()).rows.values()))
        )
        for field in rows[0]:
            depends = set()
            for other in others:
                try:
                    row = changed(rows[0], (field,), to=other)
                    after = read(TABLES[name], json.dumps([row]).encode()).rows
                except BadReplyError:
                    continue
                for one in map(parts_of, after.values()):
                    depends |= {
                        part for part in one.keys() | before.keys()
                        if one.get(part) != before.get(part)
                    }  # fmt: skip
            found[name, field] = frozenset(depends)
    return found


DEPENDS = _dependents()


def main() -> int:
    """Decode the answers and print what they lost; return 1 if that was too much."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--answers", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    fuzz, failures, begun = Fuzz(), Counter[str](), time.process_time()
    for seed in range(given.seed, given.seed + given.answers):
        try:
            fuzz.play(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with its seed
            failures[type(error).__name__] += 1
            if failures.total() <= FAILURES_SHOWN:
                say(f"seed {seed}: {str(error)[:1000]}")
    took = time.process_time() - begun
    say(
        f"{given.answers:,} answers in {took:.0f} s, {fuzz.cut:,} of them cut: "
        f"{fuzz.rows:,} rows and {fuzz.values:,} values lost; the counters have "
        f"{fuzz.rows_skipped:,} and {fuzz.values_skipped:,}; {failures.total()} failures"
    )
    agrees = (fuzz.rows, fuzz.values) == (fuzz.rows_skipped, fuzz.values_skipped)
    return int(bool(failures) or not agrees)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
