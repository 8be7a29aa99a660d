"""The description of the API: what the framework knows of the routes, and what holds for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from infraspectre.api.problems import BY_STATUS, KINDS, PROBLEM_TYPE
from infraspectre.api.routing import grouped, operation_name

SCHEMAS = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")
ALWAYS = (400, 406, 408, 429, 500, 503, 504)
KNOWN_ONLY = (401, 403)
WITH_BODY = (409, 413, 415, 422)
REQUEST_ID = {
    "description": "Names the request in logs and problems; taken from the request where it is a sane one.",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key and body within 24 hours, the request is answered as before.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
EXAMPLE = {
    "type": "/api/v1/problems/bad-request",
    "title": KINDS["bad-request"].title,
    "status": 400,
    "detail": "the request has values it cannot have",
    "instance": "/api/v1/users",
    "request_id": "0f2c9a4be1d84c56b0c7a7f1d2e3a4b5",
    "errors": [{"problem": "Expected `int` >= 1", "field": "limit"}],
}
Document = dict[str, Any]


def description(handlers: Sequence[ControllerRouterHandler], dependencies: Mapping[str, Any], version: str) -> Document:
    """Return the OpenAPI 3.1 document of routes."""
    config = OpenAPIConfig(
        title="InfraSpectre",
        version=version,
        description="Explained incidents from network traffic, and all that leads to them.",
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, method, path: operation_name(handler),
    )
    app = Litestar(grouped(handlers), dependencies=dependencies, openapi_config=config, logging_config=None)
    document: Document = app.openapi_schema.to_schema()
    opts = {
        (route.path_format, method.lower()): handler.opt
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
    }
    document.setdefault("components", {}).update(components(document["components"].get("schemas", {})))
    document["security"] = [{"bearer": []}]
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        complete(operation, path, method, opts[path, method])
        close(operation.get("requestBody", {}), schemas)
        if any(each["name"] == "fields" for each in operation.get("parameters", ())):
            choose(operation["responses"], schemas)
    return shortened(document)


def operations(document: Document) -> Iterable[tuple[str, str, Document]]:
    """Yield path, method and description of each operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def components(schemas: Document) -> Document:
    """Return what operations refer to."""
    flaw = {
        "type": "object",
        "required": ["problem"],
        "properties": {
            "problem": {"type": "string"},
            "field": {"type": "string", "description": "The parameter, header or place in the body."},
            "line": {"type": "integer", "description": "The line of the body, from 1."},
            "remedy": {"type": "string"},
        },
    }
    texts = ("type", "title", "detail", "instance", "request_id")
    problem = {
        "type": "object",
        "description": "Says why a request was not answered as asked (RFC 9457).",
        "required": [*texts, "status", "errors"],
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "status": {"type": "integer"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Flaw"}},
        },
        "examples": [EXAMPLE],
    }
    answers = {
        name: {
            "description": f"{kind.title}. {kind.meaning}",
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for name, kind in KINDS.items()
    }
    return {
        "schemas": {**schemas, "Problem": problem, "Flaw": flaw},
        "responses": answers,
        "headers": {"X-Request-Id": REQUEST_ID},
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key (isk_...), or the access token of a session.",
            }
        },
    }


def complete(operation: Document, path: str, method: str, opt: Mapping[str, Any]) -> None:
    """Add to an operation what holds for all of its kind."""
    if opt.get("public") is True:
        operation["security"] = []
    else:
        operation["x-permission"] = opt.get("permission")
    if method == "post" and opt.get("public") is not True and opt.get("idempotency") is not False:
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    if "body" in opt:
        operation["requestBody"] = opt["body"]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = without_null(parameter["schema"])
        parameter["required"] = parameter["required"] or parameter["name"] == "if-match"
    responses = operation["responses"]
    for answer in responses.values():
        answer["headers"] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    for status in statuses(operation, path, method, opt):
        responses[str(status)] = {"$ref": f"#/components/responses/{BY_STATUS[status]}"}


def close(part: Any, schemas: Document) -> None:
    """Say of all objects in a body that they have no fields but those that are named, as bodies are read strictly."""
    for name in references(part):
        schema = schemas[name]
        if schema.get("type") == "object" and schema.setdefault("additionalProperties", False) is False:
            close(schema["properties"], schemas)


def choose(responses: Document, schemas: Document) -> None:
    """Say of a list whose fields can be chosen that its items may lack some."""
    (page,) = references(responses["200"]["content"])
    items = schemas[page]["properties"]["items"]["items"]
    (item,) = references(items)
    if not item.startswith("Some"):
        schemas[f"Some{item}"] = {name: part for name, part in schemas[item].items() if name != "required"}
        items["$ref"] = f"{SCHEMAS}Some{item}"


def references(part: Any) -> list[str]:
    """Return the names of the schemas that a part of the document refers to."""
    if isinstance(part, dict):
        own = [part["$ref"].removeprefix(SCHEMAS)] if str(part.get("$ref", "")).startswith(SCHEMAS) else []
        return own + [name for each in part.values() for name in references(each)]
    return [name for each in part for name in references(each)] if isinstance(part, list) else []


def statuses(operation: Document, path: str, method: str, opt: Mapping[str, Any]) -> set[int]:
    """Return the statuses of the problems that an operation may answer with."""
    found = {*ALWAYS, *opt.get("statuses", ())}
    if opt.get("public") is not True:
        found |= {*KNOWN_ONLY}
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    if "{" in path or "after" in names:
        found.add(404)
    if method == "post" or "requestBody" in operation:
        found |= {*WITH_BODY}
    if "if-match" in names:
        found |= {412, 428}
    return found


def without_null(schema: Document) -> Document:
    """Return the schema of a parameter without null, which none can be: it is left out instead."""
    choices = [each for each in schema.get("oneOf", []) if each != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**choices[0], **rest}


def shortened(document: Document) -> Document:
    """Return the document with short names for schemas: PageOf_some.module.User_ becomes PageOfUser."""
    text = msgspec.json.encode(document).decode()
    for name in document["components"]["schemas"]:
        short = "".join(part.rpartition(".")[2] for part in re.split(r"[_\[\], ]+", name))
        if short != name:
            text = text.replace(f'/schemas/{name}"', f'/schemas/{short}"').replace(f'"{name}":', f'"{short}":')
    decoded: Document = msgspec.json.decode(text)
    return decoded


def parameters(document: Document) -> dict[tuple[str, str], frozenset[str]]:
    """Return the names of the query parameters of each method and path."""
    return {
        (method.upper(), path): frozenset(
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
        )
        for path, method, operation in operations(document)
    }
