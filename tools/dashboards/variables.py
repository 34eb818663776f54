"""What is chosen at the top of a dashboard."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import DataSourceRef

from tools.dashboards.queries import EVERY_SYSTEM, ONE_SYSTEM, series

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

Variable = build.DatasourceVariable | build.QueryVariable


def datasource() -> build.DatasourceVariable:
    """Return the choice of a Prometheus."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def systems() -> build.QueryVariable:
    """Return the choice of any number of systems, at first all of them."""
    return _several(_labels("system", "System", series("up"), "system_name"), ".+")


def system() -> build.QueryVariable:
    """Return the choice of one system."""
    return _labels("system", "System", series("up"), "system_name")


def clusters(*, of: str = EVERY_SYSTEM) -> build.QueryVariable:
    """Return the choice of any number of clusters; all of them is also the VMs of none."""
    return _several(_labels("cluster", "Cluster", series("vm_info", of), "cluster"), ".*")


def vm() -> build.QueryVariable:
    """Return the choice of one VM of the chosen system and clusters."""
    chosen = series("vm_info", ONE_SYSTEM, 'cluster=~"$cluster"')
    return _labels("vm", "VM", chosen, "vm_name")


def recovery_vms() -> build.QueryVariable:
    """Return the choice of any number of the VMs that recovery looks at."""
    found = series("recovery_vm_state_info", EVERY_SYSTEM)
    return _several(_labels("vm", "VM", found, "vm_name"), ".+")


def _labels(name: str, label: str, selector: str, of: str) -> build.QueryVariable:
    query = f"label_values({selector}, {of})"
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
    )


def _several(variable: build.QueryVariable, all_of_them: str) -> build.QueryVariable:
    return (
        variable.multi(True)
        .include_all(True)
        .all_value(all_of_them)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )
