"""``make kubernetes``: apply the Helm chart to a real API server, and print what holds."""

import argparse
import copy
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tests.chart.helm import CHART, HELMS, VALUES, rendered, values_named, workload
from tests.kubernetes.cluster import NODES, Cluster, CommandError, running, until
from tests.kubernetes.programs import KUBERNETES, MissingError, prepare

NAMESPACE = "vergewatch"
RELEASE = "vergewatch"
CLAIM = f"state-{RELEASE}-0"
WAIT_SECONDS = 120
LARGEST_RELEASE = 1024 * 1024
"""Bytes of a Secret, in which Helm stores a release."""
BARE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bare"},
    "spec": {"containers": [{"name": "bare", "image": "vergewatch"}]},
}


class FailedError(Exception):
    """A check failed."""


def check(holds: object, problem: str) -> None:
    """Raise FailedError unless *holds*."""
    if not holds:
        raise FailedError(problem)


def refused(action: Callable[[], object], reason: str) -> None:
    """Check that *action* fails for *reason*."""
    try:
        action()
    except CommandError as error:
        check(reason in str(error), f"refused for another reason than {reason!r}: {error}")
    else:
        raise FailedError(f"not refused for {reason!r}")


class Site:
    """A namespace in which one Helm installs the chart."""

    def __init__(self, cluster: Cluster, program: str) -> None:
        self.cluster = cluster
        self.program = program
        self.namespace = f"{NAMESPACE}-{program}"
        metadata = {
            "name": self.namespace,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        cluster.kubectl("apply", "--filename", "-", given=namespace)
        cluster.create_volume(self.namespace)
        until(lambda: self.get("serviceaccount", "default"))

    def get(self, *args: str) -> Any:
        return self.cluster.get("--namespace", self.namespace, *args)

    def names(self, kind: str, *args: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.get(kind, *args)["items"]}

    def pods(self) -> list[Any]:
        """Return the daemons that do not end."""
        found = self.get("pods", "--selector", "app.kubernetes.io/component=daemon")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def helm(self, *args: str) -> str:
        return self.cluster.helm(self.program, "--namespace", self.namespace, *args)

    def upgrade(self, values: str, *options: str) -> None:
        """Install or upgrade the release and wait until its pods are ready."""
        self.helm(
            *("upgrade", "--install", RELEASE, str(CHART), "--wait"),
            *("--timeout", f"{WAIT_SECONDS}s", "--values", str(values_named(values)), *options),
        )

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Let the API server check *objects*, and store none of them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.cluster.kubectl(
            *("--namespace", self.namespace, "apply", "--filename", "-"),
            *("--dry-run=server", "--validate=strict"),
            given=listed,
        )


def every_rendering_is_accepted(site: Site) -> None:
    for values in VALUES:
        objects = []
        for object_ in rendered(values, site.program):
            metadata = {**object_["metadata"], "namespace": site.namespace}
            objects.append({**object_, "metadata": metadata})
        site.apply(*objects)


def misspelt_field_is_refused(site: Site) -> None:
    changed: Any = copy.deepcopy(workload(rendered(values_named("sqlite"))))
    pod = changed["spec"]["template"]["spec"]
    pod["containers"][0]["livenesProbe"] = pod["containers"][0].pop("livenessProbe")
    changed["metadata"]["namespace"] = site.namespace
    refused(lambda: site.apply(changed), "livenesProbe")


def pod_that_is_not_restricted_is_refused(site: Site) -> None:
    pod = {**BARE_POD, "metadata": {"name": "bare", "namespace": site.namespace}}
    refused(lambda: site.apply(pod), 'violates PodSecurity "restricted')


def chart_is_installed(site: Site) -> None:
    site.upgrade("sqlite-operator")
    (pod,) = site.pods()
    check(pod["status"]["phase"] == "Running", "the pod does not run")
    claim = site.get("persistentvolumeclaim", CLAIM)
    check(claim["status"]["phase"] == "Bound", "the volume is not bound")
    check(claim["status"]["accessModes"] == ["ReadWriteOncePod"], "more than one pod may use it")
    check(RELEASE in site.names("servicemonitors"), "no ServiceMonitor")
    check(RELEASE in site.names("prometheusrules"), "no PrometheusRule")
    check(len(site.names("configmaps", "--selector", "grafana_dashboard")) > 1, "no dashboards")


def release_fits_into_its_secret(site: Site) -> None:
    (secret,) = site.get("secrets", "--selector", "owner=helm")["items"]
    size = len(json.dumps(secret["data"]))
    sys.stdout.write(f"  ({size:,} of {LARGEST_RELEASE:,} bytes)")
    check(size < LARGEST_RELEASE, "the release is too large for Helm")


def changed_settings_replace_the_pod(site: Site) -> None:
    (before,) = site.pods()
    site.upgrade("sqlite-operator", "--set", "config.name=berlin")
    (after,) = site.pods()
    check(before["metadata"]["uid"] != after["metadata"]["uid"], "the pod is still the same")
    check("name: berlin" in _settings(site), "the settings are still the same")


def rollback_brings_the_settings_back(site: Site) -> None:
    site.helm("rollback", RELEASE, "1", "--wait", "--timeout", f"{WAIT_SECONDS}s")
    check("name: berlin" not in _settings(site), "the settings are still the same")
    history = json.loads(site.helm("history", RELEASE, "--output", "json"))
    states = [entry["status"] for entry in history]
    check(states == ["superseded", "superseded", "deployed"], f"the history is {states}")


def replicas_replace_the_pod_of_sqlite(site: Site) -> None:
    site.upgrade("postgres-replicas")
    check(not site.names("statefulsets"), "the StatefulSet is still there")
    # The second one waits until the pod of the StatefulSet is gone from its node.
    until(lambda: sorted(pod["spec"].get("nodeName", "") for pod in site.pods()) == list(NODES))
    until(lambda: _allowed_disruptions(site) == 1)
    check(CLAIM in site.names("persistentvolumeclaims"), "the volume of SQLite is gone")


def replicas_are_upgraded_on_as_many_nodes(site: Site) -> None:
    before = {pod["metadata"]["uid"] for pod in site.pods()}
    site.upgrade("postgres-replicas", "--set", "podAnnotations.changed=yes")
    after = {pod["metadata"]["uid"] for pod in site.pods()}
    check(len(after) == 2, f"{len(after)} replicas")
    check(not before & after, "a replica is still the same")


def rollback_to_sqlite_finds_its_volume(site: Site) -> None:
    volume = site.get("persistentvolumeclaim", CLAIM)["spec"]["volumeName"]
    site.helm("rollback", RELEASE, "3", "--wait", "--timeout", f"{WAIT_SECONDS}s")
    until(lambda: len(site.pods()) == 1)
    check(RELEASE in site.names("statefulsets"), "no StatefulSet")
    claim = site.get("persistentvolumeclaim", CLAIM)
    check(claim["spec"]["volumeName"] == volume, "another volume")


def size_of_the_volume_changes_under_the_running_pod(site: Site) -> None:
    """Do what README.md of the chart says, but for the claim, which needs a driver."""
    (before,) = site.pods()
    site.cluster.kubectl(
        *("--namespace", site.namespace, "delete", "statefulset", RELEASE, "--cascade=orphan")
    )
    site.upgrade("sqlite-operator", "--set", "persistence.size=2Gi")
    (after,) = site.pods()
    check(before["metadata"]["uid"] == after["metadata"]["uid"], "the pod was replaced")


def volume_stays_when_the_release_is_uninstalled(site: Site) -> None:
    site.helm("uninstall", RELEASE, "--wait")
    until(lambda: not site.pods())
    check(CLAIM in site.names("persistentvolumeclaims"), "the volume is gone")
    check(not site.names("services"), "the Service is still there")


CHECKS = (
    every_rendering_is_accepted,
    misspelt_field_is_refused,
    pod_that_is_not_restricted_is_refused,
    chart_is_installed,
    release_fits_into_its_secret,
    changed_settings_replace_the_pod,
    rollback_brings_the_settings_back,
    replicas_replace_the_pod_of_sqlite,
    replicas_are_upgraded_on_as_many_nodes,
    rollback_to_sqlite_finds_its_volume,
    size_of_the_volume_changes_under_the_running_pod,
    volume_stays_when_the_release_is_uninstalled,
)


def _settings(site: Site) -> str:
    return str(site.get("configmap", RELEASE)["data"]["vergewatch.yaml"])


def _allowed_disruptions(site: Site) -> int:
    budget = site.get("poddisruptionbudget", RELEASE)
    return int(budget.get("status", {}).get("disruptionsAllowed", 0))


def main(programs: list[str]) -> int:
    """Print a line for each check; return 1 if one fails."""
    try:
        prepare()
    except MissingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    failures = 0
    with running() as cluster:
        for program in programs:
            site = Site(cluster, program)
            sys.stdout.write(f"Kubernetes {KUBERNETES}, {program}\n")
            for action in CHECKS:
                sys.stdout.write(f"  {action.__name__.replace('_', ' ')}")
                sys.stdout.flush()
                try:
                    action(site)
                except (FailedError, CommandError, TimeoutError) as error:
                    failures += 1
                    sys.stdout.write(f": FAILED: {error}\n")
                else:
                    sys.stdout.write(": yes\n")
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make kubernetes", description=__doc__)
    parser.add_argument("--helm", nargs="+", choices=HELMS, default=list(HELMS))
    sys.exit(main(parser.parse_args().helm))
