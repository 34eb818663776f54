"""The addresses of the lists behind the numbers that pages show."""

from urllib.parse import quote, urlencode

RECOVERY = "/recovery"
PLATFORM = "/platform"
DOCTOR = "/platform#doctor"
DATA = "/data"


def vms(**filters: str) -> str:
    """Return the address of the list of VMs that fit all *filters*; those that are empty do not
    count.
    """
    given = {name: value for name, value in filters.items() if value}
    return f"/vms?{urlencode(given)}" if given else "/vms"


def vm(system: str, key: int) -> str:
    """Return the address of the page of one VM."""
    return f"/vms/{quote(system, safe='')}/{key}"
