"""What is printed stays as it is."""

from __future__ import annotations

import pytest

from infraspectre.cli.output import console


def test_no_part_of_an_address_becomes_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("web attack against 2001:db8::198:51:100:112")
    assert capsys.readouterr().out == "web attack against 2001:db8::198:51:100:112\n"
