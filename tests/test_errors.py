from __future__ import annotations

import pytest

from infraspectre import errors
from infraspectre.errors import ConfigError, InfraSpectreError, InputError, OutputError, UsageError


def test_message_says_where_what_and_what_to_do() -> None:
    error = InputError("is not a port", path="conn.log", line=7, field="id.orig_p", remedy="mend the line")
    assert str(error) == "conn.log:7: id.orig_p: is not a port; mend the line"
    assert str(InputError("is empty", path="x")) == "x: is empty"
    assert str(UsageError("no input given")) == "no input given"


@pytest.mark.parametrize(
    ("kind", "status"), [(InfraSpectreError, 1), (OutputError, 1), (UsageError, 2), (ConfigError, 2), (InputError, 2)]
)
def test_exit_statuses(kind: type[InfraSpectreError], status: int) -> None:
    assert kind("x").exit_status == status


def test_every_error_stands_in_the_drawing() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert all(name in (errors.__doc__ or "") for name in kinds)
