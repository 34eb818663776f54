"""Links from a VM to other tools, by templates in the settings."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

PLACEHOLDERS = ("system", "vm_id", "vm_name")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def checked_link(template: str) -> str:
    """
    Return *template*, if it is empty or the URL of a web page with known placeholders.

    Raises:
        ValueError: It is not.

    """
    if not template:
        return ""
    unknown = sorted(set(_PLACEHOLDER.findall(template)) - set(PLACEHOLDERS))
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"has the unknown placeholder {{{unknown[0]}}}; known are {known}")
    rest = _PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError("has a brace that belongs to no placeholder; write it as %7B or %7D")
    if not template.isprintable() or " " in template:
        raise ValueError("has a space or a control character; write it percent-encoded")
    before_path = re.match(r"https?://[^/?#]*", template)
    if before_path is None or not urlsplit(before_path[0]).netloc:
        raise ValueError("is not the URL of a web page: it must begin with http:// or https://")
    if "{" in before_path[0]:
        raise ValueError("has a placeholder in its host name; put it into the path or the query")
    return template


def links_to(
    templates: Mapping[str, str], *, system: str, vm_id: int, vm_name: str
) -> Mapping[str, str]:
    """Return the link of each template that is not empty; names are percent-encoded."""
    values = {"system": system, "vm_id": str(vm_id), "vm_name": vm_name}
    return {
        name: _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), template)
        for name, template in templates.items()
        if template
    }
