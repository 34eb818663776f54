"""The OpenAPI document of the API, from the structs that requests and answers are made of."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

import msgspec

from exporter import __version__
from exporter.recovery.model.views import TOKEN_HEADER
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.api.contract import ENDPOINTS, Access, Document, Endpoint

REF = "#/components/schemas/{name}"
JSON = "application/json"
DESCRIPTION = (
    "What the console and the command line show and do, for programs. Reading is as open as the "
    "metrics; commands need the recovery token, and are refused from pages of other sites and "
    "under foreign host names. Within v1, fields, endpoints and values of enumerations are added, "
    "and none is removed or changed."
)
SECURITY: Mapping[Access, list[dict[str, list[str]]]] = {
    Access.READ: [{}, {"password": []}],
    Access.COMMAND: [{"token": []}, {"bearer": []}],
}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The recovery token."},
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": TOKEN_HEADER,
        "description": "The recovery token, where Authorization holds a password.",
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "A user of the web configuration file, if it names any.",
    },
}
ERRORS = {
    "4XX": "The request is refused, invalid or about something unknown",
    "5XX": "The request may succeed later",
}
WAIT = {
    "description": "Too many requests or wrong secrets; Retry-After tells the seconds to wait.",
    "headers": {"Retry-After": {"schema": {"type": "integer"}}},
}


@lru_cache(maxsize=1)
def openapi_json() -> bytes:
    """Return the document of every endpoint."""
    found = msgspec.json.format(msgspec.json.encode(document(ENDPOINTS)), indent=2)
    return found + b"\n"


def document(endpoints: Iterable[Endpoint]) -> Document:
    """Return the OpenAPI 3.1 document of *endpoints*."""
    endpoints = tuple(endpoints)
    types = [ErrorResponse, *(type_ for one in endpoints for type_ in _types(one))]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    _describe(types, components)
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, by_type, components)
    queries = {one.query.__name__ for one in endpoints if one.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vergewatch", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {name: one for name, one in components.items() if name not in queries},
            "securitySchemes": SCHEMES,
        },
    }


def _types(endpoint: Endpoint) -> Iterator[Any]:
    yield endpoint.answer
    yield from filter(None, (endpoint.query, endpoint.body))


def _operation(
    one: Endpoint, by_type: Mapping[int, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    content = {JSON: {"schema": by_type[id(one.answer)]}}
    if one.also:
        content[one.also] = {"schema": {"type": "string"}}
    error = {"content": {JSON: {"schema": by_type[id(ErrorResponse)]}}}
    operation: dict[str, Any] = {
        "summary": one.summary,
        "operationId": _name(one),
        "tags": [one.path.split("/")[3].partition(".")[0]],
        "security": SECURITY[one.access],
        "responses": {
            "200": {"description": "Done", "content": content},
            "429": {**WAIT, **error},
            **{code: {"description": text, **error} for code, text in ERRORS.items()},
        },
    }
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if name == "key" else "string"},
        }
        for name in re.findall(r"{(\w+)}", one.path)
    ]
    if one.query is not None:
        parameters += _parameters(components[one.query.__name__])
    if parameters:
        operation["parameters"] = parameters
    if one.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": by_type[id(one.body)]}},
        }
    return operation


def _name(one: Endpoint) -> str:
    """Return a name for the operation: getRecoveryLog, postRecoveryPause."""
    words = re.findall(r"[A-Za-z]+", one.path.removeprefix("/api/v1"))
    return one.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, described in schema["properties"].items():
        field = dict(described)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        if "description" in field:
            parameter["description"] = field.pop("description")
        found.append({**parameter, "schema": field})
    return found


def _describe(types: Iterable[Any], components: Mapping[str, Any]) -> None:
    """Add what the code says about each field: the string literal after it."""
    for kind in _structs(types):
        schema = components.get(kind.__name__, {})
        for name, text in _field_texts(kind).items():
            if name in schema.get("properties", {}):
                schema["properties"][name]["description"] = text


def _structs(types: Iterable[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield each struct that *types* are made of."""
    seen: set[Any] = set()
    waiting = [msgspec.inspect.type_info(one) for one in types]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            waiting += (field.type for field in info.fields)
        for part in ("types", "item_types"):
            waiting += getattr(info, part, ())
        for part in ("item_type", "key_type", "value_type", "type"):
            if isinstance(found := getattr(info, part, None), msgspec.inspect.Type):
                waiting.append(found)


def _field_texts(kind: type) -> dict[str, str]:
    """Return the texts of the fields of *kind* and of the structs that it extends."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        (definition,) = ast.parse(dedent(inspect.getsource(base))).body
        body = getattr(definition, "body", [])
        for field, after in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    texts[field.target.id] = inspect.cleandoc(text.value).replace("``", "`")
    return texts
