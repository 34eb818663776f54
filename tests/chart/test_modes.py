"""SQLite and PostgreSQL, one replica and several, and who may connect."""

import pytest

from tests.chart.helm import (
    Object,
    container_of,
    of_kind,
    one,
    pod_of,
    rendered,
    values_named,
    workload,
)

PORTS = {
    "config.url=http://verge.example.com": {80},
    "config.url=https://verge.example.com:8443": {8443},
    "config.journal.url=postgresql://db.example.com/vergewatch": {443, 5432},
    "config.alertmanager.urls[0]=http://alertmanager:9093/prefix": {443, 9093},
    "config.recovery.confirm.url=http://[2001:db8::1]:9090": {443, 9090},
    "config.prometheus.url=http://prometheus:9090": {443, 9090},
    "config.prometheus.proxy=http://proxy.example.com:3128": {443, 3128},
    "config.proxy=http://proxy.example.com:3128": {443, 3128},
    "config.proxy=environment": {443},
    "config.alertmanager.proxy=http://proxy.example.com:3128": {443, 3128},
    "config.recovery.confirm.proxy=http://proxy.example.com:3128": {443, 3128},
}


def rendered_with(name: str, *options: str) -> tuple[Object, ...]:
    more = tuple(word for option in options for word in ("--set", option))
    return rendered(values_named(name), more=more)


def test_one_pod_at_most_writes_a_sqlite_journal() -> None:
    stateful = one(rendered_with("sqlite"), "StatefulSet")["spec"]
    assert stateful["replicas"] == 1
    (claim,) = stateful["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert "storageClassName" not in claim["spec"]


def test_volume_is_as_the_values_say() -> None:
    stateful = one(rendered_with("sqlite-everything"), "StatefulSet")["spec"]
    (claim,) = stateful["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    }


def test_replicas_are_on_different_nodes_and_not_evicted_together() -> None:
    objects = rendered_with("postgres-replicas")
    deployment = one(objects, "Deployment")["spec"]
    assert deployment["replicas"] == 2
    # A node for each replica suffices during an upgrade.
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    (rule,) = pod_of(objects)["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    labels = deployment["template"]["metadata"]["labels"]
    assert rule["labelSelector"]["matchLabels"] == labels
    budget = one(objects, "PodDisruptionBudget")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}


def test_upgrade_waits_between_replicas_as_the_values_say_and_fails_later() -> None:
    deployment = one(rendered_with("postgres-replicas", "minReadySeconds=600"), "Deployment")[
        "spec"
    ]
    assert deployment["minReadySeconds"] == 600
    # The API server refuses a deadline that is not later.
    assert deployment["progressDeadlineSeconds"] == 1200
    assert one(rendered_with("postgres-replicas"), "Deployment")["spec"]["minReadySeconds"] == 0


def test_affinity_of_the_values_replaces_that_of_the_chart() -> None:
    affinity = pod_of(rendered_with("postgres-affinity"))["affinity"]
    assert list(affinity["podAntiAffinity"]) == ["preferredDuringSchedulingIgnoredDuringExecution"]


@pytest.mark.parametrize("name", ["sqlite", "sqlite-stopped", "postgres-one"])
def test_one_replica_has_no_disruption_budget_and_no_affinity(name: str) -> None:
    objects = rendered_with(name)
    assert list(of_kind(objects, "PodDisruptionBudget")) == []
    assert "affinity" not in pod_of(objects)


def test_labels_of_the_pods_are_those_that_are_selected() -> None:
    objects = rendered_with("sqlite-operator")
    spec = workload(objects)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    service = one(objects, "Service")
    assert spec["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    monitor = one(objects, "ServiceMonitor")["spec"]
    assert labels.items() <= service["metadata"]["labels"].items()
    assert monitor["selector"]["matchLabels"] == labels
    test = one(objects, "Pod")["metadata"]["labels"]
    assert test != labels, "the Service would lead to the pod of helm test"


def test_prometheus_gives_the_job_the_name_that_the_rules_use() -> None:
    objects = rendered(values_named("sqlite-operator"), release="lab")
    monitor = one(objects, "ServiceMonitor")["spec"]
    assert one(objects, "Service")["metadata"]["labels"][monitor["jobLabel"]] == "vergewatch"
    (endpoint,) = monitor["endpoints"]
    assert endpoint == {
        "port": "http",
        "path": "/metrics",
        "interval": "30s",
        "honorLabels": True,
    }


def test_scrape_follows_the_settings_and_the_values() -> None:
    monitor = one(rendered_with("sqlite-everything"), "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["path"] == "/telemetry"
    assert (endpoint["interval"], endpoint["scheme"]) == ("1m", "https")


@pytest.mark.parametrize("option", PORTS)
def test_ports_that_the_settings_name_are_let_out(option: str) -> None:
    policy = one(rendered_with("sqlite", option), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, rule = policy["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert {port["port"] for port in rule["ports"]} == PORTS[option]


def test_ports_of_several_systems_are_let_out() -> None:
    policy = one(rendered_with("sqlite-everything", "networkPolicy.egress=null"), "NetworkPolicy")[
        "spec"
    ]
    _, rule = policy["egress"]
    assert {port["port"] for port in rule["ports"]} == {443, 8443, 3128, 9093, 9090}


def test_peers_of_the_values_and_the_pod_of_helm_test_are_let_in() -> None:
    objects = rendered_with("sqlite-everything")
    policy = one(objects, "NetworkPolicy")["spec"]
    (rule,) = policy["ingress"]
    monitoring, test = rule["from"]
    assert "namespaceSelector" in monitoring
    assert test["podSelector"]["matchLabels"] == one(objects, "Pod")["metadata"]["labels"]
    _, egress = policy["egress"]
    assert egress["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]


def test_daemon_with_a_web_configuration_file_is_probed_by_the_script_of_the_image() -> None:
    plain = container_of(rendered_with("sqlite"))
    guarded = container_of(rendered_with("sqlite-everything"))
    for probe, path in (("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")):
        assert plain[probe]["httpGet"] == {"port": "http", "path": path}
        assert guarded[probe]["exec"]["command"][-1] == path


def test_changed_settings_restart_the_daemon_unless_the_values_forbid_it() -> None:
    def annotations(name: str, option: str) -> object:
        return workload(rendered_with(name, option))["spec"]["template"]["metadata"]["annotations"]

    one_mode, other = "config.recovery.mode=ask", "config.recovery.mode=shadow"
    assert annotations("sqlite", one_mode) != annotations("sqlite", other)
    assert annotations("postgres-replicas", one_mode) == annotations("postgres-replicas", other)
