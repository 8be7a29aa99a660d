"""The API as reference pages: each operation by what it is about, and the schemas of what goes in and comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from infraspectre.api.openapi import operations
from infraspectre.api.problems import KINDS
from infraspectre.config import attribute_texts

Document = Mapping[str, Any]
PREFIX = "/api/v1/"
SCHEMA_LINK = "(api-schemas.md#"
SOME = "Some"
"""Begins the names of schemas whose fields a request chooses."""
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} or more characters",
    "maxLength": "up to {} characters",
    "minItems": "{} or more items",
    "maxItems": "up to {} items",
}
MOST_CHOICES = 24


def operations_page(document: Document) -> str:
    """Return the page of all operations."""
    areas: dict[str, list[tuple[str, str, Document]]] = defaultdict(list)
    for path, method, operation in operations(dict(document)):
        areas[area_of(path)].append((path, method, operation))
    always = set.intersection(*(problems_of(operation) for _, _, operation in operations(dict(document))))
    head = (
        "# The API\n\n"
        f"Version {document['info']['version']}, OpenAPI {document['openapi']}; the server describes itself at "
        "`/api/v1/openapi.json`. How to ask is in [the guide](../guides/api.md); what goes in and comes out are "
        "[schemas](api-schemas.md). Any operation may answer with the "
        f"[problems](errors.md#problems) {in_code(always)}; further ones are named with it.\n"
    )
    parts = (area_text(area, found, always) for area, found in sorted(areas.items()))
    return head + "".join(parts)


def area_of(path: str) -> str:
    """Return what an operation is about: the first part of its path."""
    return path.removeprefix(PREFIX).strip("/").partition("/")[0]


def area_text(area: str, found: Sequence[tuple[str, str, Document]], always: set[str]) -> str:
    """Return the operations that are about one thing."""
    return f"\n## {area}\n" + "".join(operation_text(*each, always) for each in found)


def operation_text(path: str, method: str, operation: Document, always: set[str]) -> str:
    """Return an operation: what it does, who may, what it takes, answers and refuses."""
    permission = operation.get("x-permission")
    needs = f"needs the permission `{permission}`" if permission else "for everybody who is known"
    told = [
        f"\n### `{method.upper()} {path}`\n\n{operation['description'].strip()}\n",
        f"\n`{operation['operationId']}`; {'for everybody' if operation.get('security') == [] else needs}.\n",
        table_of_parameters(operation.get("parameters", ())),
        *(f"\nTakes {each}.\n" for each in contents(operation.get("requestBody", {}))),
        *answers(operation["responses"]),
    ]
    further = problems_of(operation) - always
    return "".join([*told, f"\nProblems: {in_code(further)}.\n" if further else ""])


def table_of_parameters(parameters: Iterable[Document]) -> str:
    """Return the parameters as a table; empty for none."""
    rows = [
        f"| `{each['name']}` | {each['in']}{', required' if each['required'] else ''} "
        f"| {shape(each['schema'])} | {cell(each.get('description', ''))} |"
        for each in parameters
    ]
    return "\n".join(["", "| parameter | in | type | meaning |", "|---|---|---|---|", *rows, ""]) if rows else ""


def contents(body: Document) -> list[str]:
    """Return what a request or an answer may hold, in words."""
    found = body.get("content", {})
    return [" or ".join(f"{shape(of.get('schema', {}))} as `{kind}`" for kind, of in found.items())] if found else []


def answers(responses: Document) -> Iterator[str]:
    """Yield what an operation answers where it does what is asked."""
    for status, answer in responses.items():
        if "$ref" not in answer:
            yield f"\nAnswers {status}{''.join(f' with {each}' for each in contents(answer))}.\n"


def problems_of(operation: Document) -> set[str]:
    """Return the kinds of problems that an operation may answer with."""
    return {name_of(each) for each in operation["responses"].values() if "$ref" in each}


def schemas_page(document: Document) -> str:
    """Return the page of all schemas, by name."""
    schemas = document["components"]["schemas"]
    head = (
        "# Schemas of the API\n\nWhat the [operations](api.md) take and answer with. Lists whose fields a request "
        "chooses have items with just these fields. Unknown fields in a request are refused.\n"
    )
    named = sorted((name, each) for name, each in schemas.items() if shown(name, schemas) == name)
    return (head + "".join(schema_text(name, schema) for name, schema in named)).replace(SCHEMA_LINK, "(#")


def schema_text(name: str, schema: Document) -> str:
    """Return a schema: what it is, and its fields."""
    fields = schema.get("properties", {})
    kind = kind_with(name, frozenset(fields))
    told = schema.get("description") or (kind.__doc__ if kind else "") or ""
    text = f"\n## {name}\n" + (f"\n{cell(told)}\n" if told else "")
    return text + (table_of_fields(schema, attribute_texts(kind) if kind else {}) if fields else f"\n{shape(schema)}\n")


def table_of_fields(schema: Document, meanings: Mapping[str, str]) -> str:
    """Return the fields of a schema as a table; meanings stand in where the schema does not say them."""
    rows = [
        f"| `{name}`{'' if name in schema.get('required', ()) else ', optional'} | {shape(of)} "
        f"| {cell(of.get('description') or meanings.get(name, ''))} |"
        for name, of in schema["properties"].items()
    ]
    return "\n".join(["", "| field | type | meaning |", "|---|---|---|", *rows, ""])


@cache
def structs() -> tuple[type[msgspec.Struct], ...]:
    """Return the structs of the server that are loaded; those of the client are made of the same description."""

    def below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
        for each in kind.__subclasses__():
            yield from (each, *below(each))

    ours = [each for each in below(msgspec.Struct) if each.__module__.startswith("infraspectre.")]
    return tuple(each for each in ours if not each.__module__.startswith("infraspectre.client"))


def kind_with(name: str, fields: frozenset[str]) -> type[msgspec.Struct] | None:
    """Return the struct that a schema stands for, told by its name and fields; its source says what they mean."""
    found = [each for each in structs() if each.__name__ == name and set(each.__struct_encode_fields__) == fields]
    return min(found, key=lambda each: each.__module__, default=None)


def shape(schema: Document) -> str:
    """Return in words what a schema allows."""
    if "$ref" in schema:
        return f"[{shown(name_of(schema))}]{SCHEMA_LINK}{shown(name_of(schema)).lower()})"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(shape, schema[several])))
    if "enum" in schema:
        return choice(schema["enum"])
    form = [str(schema["format"])] if "format" in schema else []
    return ", ".join([kind_in_words(schema), *form, *bounds(schema)])


def choice(values: Sequence[Any]) -> str:
    """Return what may be chosen."""
    told = [f"`{cell(each if isinstance(each, str) else msgspec.json.encode(each).decode())}`" for each in values]
    told = told[:MOST_CHOICES]
    return ", ".join(told) + (f" and {len(values) - MOST_CHOICES} more" if len(values) > MOST_CHOICES else "")


def kind_in_words(schema: Document) -> str:
    """Return the type of a schema in words."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {shape(schema.get('items', {}))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object of {shape(inner)}" if isinstance(inner, dict) and inner else "object"
    return str(kind or "anything")


def bounds(schema: Document) -> Iterator[str]:
    """Yield the bounds of a value, and what it is where nothing is said."""
    for key, words in BOUNDS.items():
        if key in schema and schema[key] != 0:
            yield words.format(f"{schema[key]:g}" if isinstance(schema[key], float) else schema[key])
    if schema.get("default") not in (None, "", [], {}):
        yield f"`{cell(msgspec.json.encode(schema['default']).decode())}` if it is left out"


def shown(name: str, schemas: Mapping[str, Any] | None = None) -> str:
    """Return the name under which a schema is told: one with chosen fields is the one that has them all."""
    whole = name.removeprefix(SOME)
    return whole if schemas is None or whole in schemas else name


def name_of(reference: Document) -> str:
    """Return the last part of a reference."""
    return str(reference["$ref"]).rpartition("/")[2]


def in_code(names: Iterable[str]) -> str:
    """Return kinds of problems in order of their status."""
    return ", ".join(f"`{each}`" for each in KINDS if each in set(names))


def cell(text: str) -> str:
    """Return a text that can stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def pages(document: Document) -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {"api.md": operations_page(document), "api-schemas.md": schemas_page(document)}
