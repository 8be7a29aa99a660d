"""Writes the client's operations and schemas from the description of the API."""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infraspectre.api.app import described

OPERATIONS = Path(__file__).resolve().parent.parent / "src" / "infraspectre" / "client" / "operations.py"
HEAD = '''"""Operations and schemas of the API; `make docs` writes them from its description."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from infraspectre.client.connection import Connection

'''
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
PASSED_OVER = ("idempotency-key", "content-encoding")
"""Headers that the connection sends by itself."""
TEXTS = ("text/plain", "text/html", "text/csv", "application/pdf", "application/x-ndjson")
STREAMS = ("text/event-stream",)


def module(document: Mapping[str, Any]) -> str:
    """Return the text of the module."""
    schemas = "".join(klass(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    methods = "".join(
        method(verb.upper(), path, operation)
        for path, item in sorted(document["paths"].items())
        for verb, operation in item.items()
        if verb != "parameters" and not set(content_of(operation)) & set(STREAMS)
    )
    return (
        f'{HEAD}{schemas}\n\nclass Client(Connection):\n    """Asks the API; each operation is a method."""\n{methods}'
    )


def klass(name: str, schema: Mapping[str, Any]) -> str:
    """Return the class, or other type, that a schema stands for."""
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{name} = {kind(schema)}\n"
    required = set(schema.get("required", ()))
    fields = sorted(schema["properties"].items(), key=lambda each: each[0] not in required)
    lines = "".join(field(each, part, each in required) for each, part in fields) or "    pass\n"
    told = sentence(schema.get("description") or f"Holds what the API calls {name}.")
    return f'\n\nclass {name}(msgspec.Struct, frozen=True, omit_defaults=True):\n    """{told}"""\n\n{lines}\n\n'


def field(name: str, schema: Mapping[str, Any], is_required: bool) -> str:
    """Return the line of a field, and what it means."""
    default = "" if is_required else " = msgspec.UNSET"
    told = f'    """{sentence(schema["description"])}"""\n' if schema.get("description") else ""
    held = kind(schema) if is_required else none_last(f"{kind(schema)} | msgspec.UnsetType")
    return f"    {named(name)}: {held}{default}\n{told}"


def none_last(union: str) -> str:
    """Return a union of types with None, if it is among them, at its end."""
    return f"{union.replace(' | None', '', 1)} | None" if " | None" in union else union


def kind(schema: Mapping[str, Any]) -> str:
    """Return the type that a schema describes."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(kind(each) for each in schema[several])) or "Any"
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(each) if each is not None else 'None' for each in schema['enum'])}]"
    return typed(schema)


def typed(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema that names one."""
    wanted = schema.get("type")
    if isinstance(wanted, list):
        return " | ".join(PLAIN.get(each, "Any") for each in wanted)
    if wanted == "array":
        return f"list[{kind(schema.get('items', {}))}]"
    if wanted == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {kind(inner) if isinstance(inner, dict) and inner else 'Any'}]"
    return PLAIN.get(str(wanted), "Any")


def method(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return the method of an operation."""
    parameters = [each for each in operation.get("parameters", ()) if each["name"] not in PASSED_OVER]
    body = body_of(operation)
    returned = returns(operation)
    placed = [each for each in parameters if each["in"] == "path"]
    others = [each for each in parameters if each["in"] != "path"]
    first = ["self", *(f"{named(each['name'])}: str" for each in placed), *([f"data: {body}"] if body else [])]
    rest = [argument(each) for each in sorted(others, key=lambda each: not each["required"])]
    signature = ", ".join(first + (["*", *rest] if rest else []))
    asked = f"{json.dumps(verb)}, {json.dumps(path)}, {target(returned)}{arguments(parameters, body)}"
    told = sentence(operation.get("description") or operation.get("summary", ""))
    return textwrap.indent(
        f"\ndef {operation['operationId']}({signature}) -> {returned}:\n"
        f'    """{told}"""\n'
        f"    return self.ask({asked})\n",
        "    ",
    )


def arguments(parameters: list[dict[str, Any]], body: str) -> str:
    """Return what of a call is not the same for all."""
    told = ""
    for place, name in (("path", "within"), ("query", "query"), ("header", "headers")):
        given = {each["name"]: named(each["name"]) for each in parameters if each["in"] == place}
        if given:
            told += f", {name}={{{', '.join(f'{json.dumps(key)}: {value}' for key, value in given.items())}}}"
    return told + (", body=data" if body else "")


def argument(parameter: Mapping[str, Any]) -> str:
    """Return a parameter as an argument that is named."""
    default = "" if parameter["required"] else " | None = None"
    return f"{named(parameter['name'])}: {kind(parameter['schema'])}{default}"


def body_of(operation: Mapping[str, Any]) -> str:
    """Return the type of the body of a request; empty for none."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return kind(content["application/json"]["schema"])
    return "bytes" if content else ""


def content_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operation answers with where it does what is asked."""
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    found: dict[str, Any] = answers[0].get("content", {}) if answers else {}
    return found


def returns(operation: Mapping[str, Any]) -> str:
    """Return the type of an answer."""
    content = content_of(operation)
    if "application/json" in content:
        return kind(content["application/json"]["schema"])
    return "bytes" if content else "None"


def target(returned: str) -> str:
    """Return the type of an answer as it is handed over at run time."""
    return "type(None)" if returned == "None" else returned


def named(name: str) -> str:
    """Return a name as Python can have it."""
    plain = re.sub(r"\W", "_", name).lower() if not name.isidentifier() else name
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def sentence(text: str) -> str:
    """Return the first line of a description."""
    first = text.strip().partition("\n")[0].replace("\\", "\\\\").replace('"""', "'''")
    return first + ("" if first.endswith((".", ")")) else ".")


def formatted() -> str:
    """Return the module in the house style."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", OPERATIONS.name, "-"]
    told = subprocess.run(command, input=module(described()), capture_output=True, text=True, check=True)  # noqa: S603
    return told.stdout


if __name__ == "__main__":
    OPERATIONS.write_text(formatted())
