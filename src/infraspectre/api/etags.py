"""Entity tags: the revision of a record, so that nobody undoes what somebody else did meanwhile."""

from __future__ import annotations

import re
from typing import Annotated, Any

from litestar import Response
from litestar.params import HeaderParameter

from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.ports import Stored

WRITTEN = r'^(?:W/)?"([1-9][0-9]{0,17})"$'


def tagged(content: Any, stored: Stored, status: int = 200, headers: dict[str, str] | None = None) -> Response[Any]:
    """Return an answer with the entity tag of its record."""
    return Response(content, status_code=status, headers={"etag": f'"{stored.revision}"', **(headers or {})})


def expected(
    if_match: Annotated[
        str | None,
        HeaderParameter(
            name="if-match",
            pattern=WRITTEN,
            description="The ETag that you have read, so that you undo nothing that somebody else did meanwhile.",
        ),
    ] = None,
) -> int:
    """Return the revision that a change expects (RFC 9110 section 13.1.1); raises RefusedError."""
    if if_match is None:
        remedy = "read the record, and send its ETag as If-Match"
        raise RefusedError(
            "precondition-required", "the change names no revision", [Flaw("is missing", "if-match", 0, remedy)]
        )
    written = re.match(WRITTEN, if_match)
    return int(written[1]) if written else 0
