"""Parameters of path, query, headers and cookies, read as functions of routes and their dependencies declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from litestar._parsers import parse_cookie_string, parse_query_string
from litestar.enums import ParamType

from infraspectre.api.headers import header
from infraspectre.api.problems import Flaw, RefusedError

if TYPE_CHECKING:
    from litestar._kwargs import KwargsModel
    from litestar._kwargs.parameter_definition import ParameterDefinition

query_of: Callable[[bytes], tuple[tuple[str, str], ...]] = parse_query_string
"""Returns the names and values of a query; a thousand are remembered."""


def in_path(scope: Any, declared: ParameterDefinition) -> Any:
    """Return a part of the path."""
    return scope["path_params"].get(declared.field_name)


def in_query(scope: Any, declared: ParameterDefinition) -> Any:
    """Return the last value of a name in the query, or of a list all of them; None where there is none."""
    values = [value for name, value in query_of(scope["query_string"]) if name == declared.field_alias]
    return (values if declared.is_sequence else values[-1]) if values else None


def in_header(scope: Any, declared: ParameterDefinition) -> str | None:
    """Return the value of a header."""
    value = header(scope["headers"], declared.field_alias.lower().encode())
    return None if value is None else value.decode("latin-1")


def in_cookie(scope: Any, declared: ParameterDefinition) -> str | None:
    """Return the value of a cookie."""
    return parse_cookie_string((header(scope["headers"], b"cookie") or b"").decode("latin-1")).get(declared.field_alias)


PLACES = {
    ParamType.PATH: in_path,
    ParamType.QUERY: in_query,
    ParamType.HEADER: in_header,
    ParamType.COOKIE: in_cookie,
}
"""Where parameters are written."""


class Parameter(NamedTuple):
    """Is a parameter: how it is written in a request, and what it becomes."""

    written: Callable[[Any, ParameterDefinition], Any]
    declared: ParameterDefinition
    kind: Any


class Parameters:
    """Reads the parameters of a route."""

    def __init__(self, model: KwargsModel, kinds: Mapping[str, Any]) -> None:
        """Take them from what Litestar knows of the route, and their types from its signatures."""
        declared = {
            *model.expected_path_params,
            *model.expected_query_params,
            *model.expected_header_params,
            *model.expected_cookie_params,
        }
        self._parameters = [
            Parameter(PLACES[each.param_type], each, kinds[each.field_name])
            for each in sorted(declared, key=lambda one: one.field_alias)
        ]

    def read(self, scope: Any) -> dict[str, Any]:
        """Return values by the names that functions know; raises RefusedError that names all that are wrong."""
        values: dict[str, Any] = {}
        flaws: list[Flaw] = []
        for written, declared, kind in self._parameters:
            value = written(scope, declared)
            if value is None and declared.is_required:
                flaws.append(Flaw("is missing", declared.field_alias))
            elif value is None:
                values[declared.field_name] = declared.default
            else:
                try:
                    values[declared.field_name] = msgspec.convert(value, kind, strict=False)
                except msgspec.ValidationError as error:
                    flaws.append(Flaw(str(error).partition(" - ")[0], declared.field_alias))
        if flaws:
            raise RefusedError("bad-request", "the request has values it cannot have", flaws)
        return values
