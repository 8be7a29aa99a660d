"""The grammar: what a function says it takes, and what words become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from infraspectre.cli import COMMANDS, NAME, ROOT
from infraspectre.cli.grammar import REQUIRED, Group, call, find, options_of, walk
from infraspectre.cli.help import summary
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.errors import UsageError


def example(
    inputs: list[str],
    /,
    *,
    out_file: Path,
    count: int = 1,
    share: float | None = None,
    kind: Literal["one", "two"] = "one",
    tags: Annotated[list[str] | None, "--tag", "-t"] = None,
    deep: bool = False,
    common: Common = DEFAULT,
) -> int:
    """Try every kind of option.

    There is more to say.

    Parameters
    ----------
    inputs
        Any number
        of inputs.
    out_file
        A file.
    """
    seen.update(locals())
    return 7


seen: dict[str, Any] = {}
OPTIONS = {option.parameter: option for option in options_of(example)}


def taken(*words: str) -> dict[str, Any]:
    seen.clear()
    assert call(example, words) == 7
    return dict(seen)


def test_a_signature_becomes_options() -> None:
    assert OPTIONS["inputs"].flags == ()
    assert OPTIONS["inputs"].label == "INPUTS"
    assert OPTIONS["inputs"].default is REQUIRED
    assert OPTIONS["inputs"].text == "Any number of inputs."
    assert OPTIONS["out_file"].flags == ("--out-file",)
    assert OPTIONS["tags"].flags == ("--tag", "-t")
    assert OPTIONS["kind"].choices == ("one", "two")
    metavars = [OPTIONS[name].metavar for name in ("out_file", "count", "share", "kind", "tags", "deep")]
    assert metavars == ["PATH", "INT", "FLOAT", "CHOICE", "STR", ""]


def test_common_options_come_last() -> None:
    assert [option.parameter for option in options_of(example) if option.is_common] == list(Common._fields)
    assert list(OPTIONS)[-len(Common._fields) :] == list(Common._fields)


def test_words_become_values_wherever_they_stand() -> None:
    got = taken(
        "a", "--out-file", "x", "-", "--count=-3", "-tu", "--tag", "v", "--share", "-0.5", "--quiet", "b", "--deep"
    )
    assert got["inputs"] == ["a", "-", "b"]
    assert got["out_file"] == Path("x")
    assert (got["count"], got["share"], got["kind"], got["tags"], got["deep"]) == (-3, -0.5, "one", ["u", "v"], True)
    assert got["common"] == Common(quiet=True)


def test_after_two_dashes_everything_is_an_argument() -> None:
    assert taken("--out-file=--deep", "--", "--json", "-x")["inputs"] == ["--json", "-x"]


def test_what_is_not_given_has_its_default() -> None:
    got = taken("a", "--out-file", "x")
    assert (got["count"], got["share"], got["tags"], got["deep"], got["common"]) == (1, None, None, False, DEFAULT)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out-file", "x"], "INPUTS requires an argument"),
        (["a"], "--out-file requires an argument"),
        (["a", "--out-file"], "--out-file requires an argument"),
        (["a", "--out-file", "--quiet"], "--out-file requires an argument"),
        (["a", "--out-file", "x", "--out-file", "y"], "--out-file is given more than once"),
        (["a", "--out-fil", "x"], "Unknown option: --out-fil; did you mean --out-file?"),
        (["a", "--wrong=1"], "Unknown option: --wrong; --help lists them, and a file is named as ./--wrong"),
        (["a", "-x"], "Unknown option: -x; "),
        (["a", "--out-file", "x", "--count", "many"], 'Invalid value "many" for --count; give a whole number'),
        (["a", "--out-file", "x", "--share", "half"], 'Invalid value "half" for --share; give a number'),
        (["a", "--out-file", "x", "--kind", "six"], 'Invalid value "six" for --kind; choose from one, two'),
        (["a", "--out-file", "x", "--deep=yes"], "--deep takes no value"),
    ],
)
def test_mistakes_are_named_with_a_remedy(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(example, words)
    assert str(caught.value).startswith(message)
    assert caught.value.remedy


def test_an_argument_too_many_is_refused() -> None:
    def single(name: str = "", /, *, common: Common = DEFAULT) -> None:
        """Take one argument."""

    with pytest.raises(UsageError, match='Unexpected argument "b"'):
        call(single, ["a", "b"])


class Place(NamedTuple):
    """Says where something is.

    Parameters
    ----------
    street
        The street.
    numbers
        Numbers of houses.
    """

    street: str = "Main Street"
    numbers: Annotated[list[int] | None, "-n"] = None


def test_a_named_tuple_stands_for_its_fields() -> None:
    places: list[Place] = []

    def deliver(what: str, /, *, common: Common = DEFAULT, place: Place = Place()) -> None:  # noqa: B008
        """Deliver something."""
        places.append(place)

    call(deliver, ["bread"])
    call(deliver, ["bread", "--street", "Side Street", "-n", "1", "-n2"])
    assert places == [Place(), Place("Side Street", [1, 2])]
    described = {option.parameter: option.text for option in options_of(deliver)}
    assert list(described)[:4] == ["what", "street", "numbers", "json"]
    assert described["numbers"] == "Numbers of houses."


def test_words_lead_to_a_command() -> None:
    tree = Group("All.", {"inner": Group("Some.", {"example": example})})
    assert find("it", tree, ["inner", "example", "a", "--deep"]) == ("it inner example", example, ["a", "--deep"])
    assert find("it", tree, ["inner"])[0] == "it inner"
    assert find("it", tree, ["--help", "inner"])[0] == "it"
    with pytest.raises(UsageError, match=r'Unknown command "exampel"; did you mean example\?'):
        find("it", tree, ["inner", "exampel"])
    with pytest.raises(UsageError, match='Unknown command "x"; choose from inner'):
        find("it", tree, ["x"])


def test_what_is_said_of_a_command_before_it_is_imported_holds() -> None:
    assert {name: summary(ROOT.command(name)) for name in COMMANDS} == COMMANDS


def test_every_option_is_described_and_named_once() -> None:
    for path, command in walk(NAME, ROOT):
        options = [] if isinstance(command, Group) else options_of(command)
        assert all(option.text for option in options), path
        flags = [flag for option in options for flag in option.flags]
        assert len(flags) == len(set(flags)), path
