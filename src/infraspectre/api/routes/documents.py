"""The description of the API, and what each kind of problem means."""

from __future__ import annotations

import msgspec
from litestar import get

from infraspectre.api.given import InPath
from infraspectre.api.problems import KINDS, RefusedError


class ProblemKind(msgspec.Struct, frozen=True):
    """Says what a kind of problem means."""

    name: str
    status: int
    title: str
    meaning: str


def kind_of(name: str) -> ProblemKind:
    """Return what a kind of problem means."""
    kind = KINDS[name]
    return ProblemKind(name, kind.status, kind.title, kind.meaning)


@get("/api/v1/problems", opt={"public": True}, sync_to_thread=False)
def list_problems() -> list[ProblemKind]:
    """List the kinds of problems."""
    return [kind_of(name) for name in KINDS]


@get("/api/v1/problems/{name:str}", opt={"public": True}, sync_to_thread=False)
def show_problem(name: InPath) -> ProblemKind:
    """Show what a kind of problem means: the type of a problem leads here."""
    if name not in KINDS:
        raise RefusedError("not-found", "there is no such kind of problem")
    return kind_of(name)


HANDLERS = [list_problems, show_problem]
