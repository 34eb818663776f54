"""Rules that every registered metric family and item group follows."""

import re

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS, FAMILIES
from exporter.exposition.collector import UNITS, Kind, one, unit_of
from exporter.exposition.view import DOCTOR, FROZEN, REPORT, UPDATED
from exporter.model import IDENTITY
from exporter.telemetry import INSTRUMENTS

GROUPS = sorted({family.group for family in FAMILIES}, key=lambda group: group.name)
LABEL = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = {"job", "instance", "le", "quantile", "alertname", "alertstate", "severity"}
TARGET_LABELS = {
    *("job", "instance", "prometheus", "monitor", "replica"),
    *("namespace", "pod", "container", "service", "endpoint", "node"),  # of its operator
    *("cluster", "host", "hostname", "region", "zone", "datacenter", "dc", "site", "rack"),
    *("location", "tenant", "customer", "team", "owner", "project", "environment", "env"),
    *("stage", "tier", "role", "app", "application", "component"),
}
"""Labels that sites set on targets: Prometheus renames a metric's own label of such a name."""


def test_family_names_are_unique_in_both_formats() -> None:
    names = [family.name for family in FAMILIES]
    in_openmetrics = [name.removesuffix("_total") for name in names]

    assert len(set(names)) == len(names)
    assert len(set(in_openmetrics)) == len(names)


def test_name_is_valid_and_has_the_prefix() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"vergewatch_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)


def test_only_counters_end_in_total() -> None:
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


def test_name_has_no_suffix_of_another_type_and_no_non_base_unit() -> None:
    for family in FAMILIES:
        assert not family.name.endswith(
            ("_bucket", "_count", "_sum", "_created", "_gsum", "_gcount")
        )
        assert not re.search(
            r"_(gauge|counter|milliseconds|ms|kb|mb|mib|percent|pct)(_|$)", family.name
        )


def test_unit_is_the_suffix_of_the_name() -> None:
    for family in FAMILIES:
        stem = family.name.removesuffix("_total")

        if family.unit:
            assert stem.endswith(f"_{family.unit}"), family.name
        else:
            assert not stem.endswith(tuple(f"_{unit}" for unit in UNITS)), family.name


def test_longest_matching_unit_is_used() -> None:
    assert unit_of("vm_nic_speed_bytes_per_second") == "bytes_per_second"
    assert unit_of("vm_disk_size_bytes") == "bytes"
    assert unit_of("kilobytes") == ""


def test_only_timestamps_have_help_that_starts_with_when() -> None:
    for family in FAMILIES:
        is_timestamp = family.help.startswith("When ")

        assert family.name.endswith("_timestamp_seconds") == is_timestamp


def test_help_is_one_sentence_without_escapes() -> None:
    for family in FAMILIES:
        assert not set(family.help) & set('"\\\n\r'), family.name
        assert family.help == family.help.strip(), family.name
        assert family.help.endswith("."), family.name
        assert family.help[0].isupper() or family.help[0].isdigit(), family.name


def test_help_ends_with_the_api_field() -> None:
    for family in FAMILIES:
        if family.source:
            assert family.help.endswith(f" ({family.source})."), family.name
        else:  # from the daemon itself
            assert family.group.tables in ({REPORT}, {DOCTOR}), family.name


TABLES = tables_of(COLLECTORS)
REQUESTED = {
    (table.endpoint, field.split(" as ")[0].removesuffix("[all]"))
    for table in TABLES
    for field in table.fields
} | {("version", "json"), ("settings", "cloud_name")}


def test_source_field_is_requested() -> None:
    for family in FAMILIES:
        for source in filter(None, family.source.split(", ")):
            table, _, field = source.partition(".")
            if field:
                assert (table, field.split(".")[0]) in REQUESTED, family.name
            else:
                assert table in {endpoint for endpoint, _ in REQUESTED}, family.name


def test_labels_are_valid_few_and_not_reserved() -> None:
    for family in FAMILIES:
        labels = family.labels

        assert len(set(labels)) == len(labels), family.name
        assert len(labels) <= 12, family.name
        for label in labels:
            assert LABEL.fullmatch(label), family.name
            assert label not in RESERVED, family.name
            assert not label.startswith(("exported_", "__")), family.name


def test_first_label_is_the_system() -> None:
    for family in FAMILIES:
        assert family.labels[0] == "system_name", family.name


def test_vm_families_have_the_identity_labels_of_the_vm() -> None:
    names = ("vergewatch_vm_", "vergewatch_recovery_vm_")
    for family in FAMILIES:
        is_vm_family = family.name.startswith(names)

        assert (family.labels[:3] == ("system_name", "vm_id", "vm_name")) == is_vm_family, (
            family.name
        )
        if is_vm_family:
            assert len(family.group.labels) <= 4, family.name


def test_only_info_families_have_info_labels_and_their_value_is_one() -> None:
    for family in FAMILIES:
        assert family.name.endswith("_info") == bool(family.info_labels)
        if family.info_labels:
            assert family.kind is Kind.GAUGE, family.name
            assert family.unit == "", family.name
            assert family.read is one, family.name
            assert list(family.read([object()])) == [1.0], family.name
        else:
            assert family.read is not one, family.name


def test_label_that_can_change_is_only_on_info_families() -> None:
    changing = {
        "cluster_name",
        "node_name",
        "status",
        "uuid",
        "ha_group",
        "os_family",
        "agent_version",
    }
    for family in FAMILIES:
        if family.name.startswith("vergewatch_vm_") and not family.info_labels:
            assert not changing & set(family.labels), family.name


def test_no_label_has_the_name_of_a_common_target_label() -> None:
    for metric in (*FAMILIES, *INSTRUMENTS):
        taken = TARGET_LABELS & set(metric.labels)
        assert not taken, f"{metric.name}: a scrape would rename {taken} to exported_..."


def test_group_depends_on_existing_tables() -> None:
    pseudo = {REPORT, IDENTITY, FROZEN, UPDATED, DOCTOR}
    for group in GROUPS:
        assert group.tables <= {table.name for table in TABLES} | pseudo, group.name
        assert group.tables, group.name


def test_group_has_a_unique_name_and_unique_labels() -> None:
    for group in GROUPS:
        assert [other for other in GROUPS if other.name == group.name] == [group]
        assert len(set(group.labels)) == len(group.labels), group.name
