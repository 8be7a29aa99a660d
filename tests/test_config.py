from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from infraspectre import config
from infraspectre.errors import ConfigError


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    idle_s: float = 60.0
    name: str = "a"


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flows: Section = Section()


def load(tmp_path: Path, text: str, **environment: str) -> Schema:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return config.load(Schema, path, environment)


def test_defaults_file_and_environment_in_this_order(tmp_path: Path) -> None:
    assert config.load(Schema, None, {}).flows.idle_s == 60.0
    assert load(tmp_path, "[flows]\nidle_s = 5").flows == Section(5.0, "a")
    assert load(tmp_path, "[flows]\nidle_s = 5", INFRASPECTRE_FLOWS__IDLE_S="7").flows == Section(7.0, "a")


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[flows]\nname = 'b'")
    assert config.load(Schema, None, {"INFRASPECTRE_CONFIG": str(path)}).flows.name == "b"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("# nothing\n[flows]\nidl_s = 5", 3, "flows.idl_s: unknown setting"),
        ("\n[flow]\nidle_s = 5", 2, "flow: unknown setting"),
        ("[flows]\nname = 'x'\nidle_s = 'soon'", 3, "flows.idle_s: Expected `float`"),
        ("[flows\n", 1, "not valid TOML"),
    ],
)
def test_mistakes_are_named_by_line_and_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.toml") as caught:
        load(tmp_path, text)
    assert caught.value.line == line
    assert message in str(caught.value)


def test_mistakes_in_the_environment_name_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="INFRASPECTRE_FLOWS__IDLE_S"):
        load(tmp_path, "", INFRASPECTRE_FLOWS__IDLE_S="soon")
    with pytest.raises(ConfigError, match="INFRASPECTRE_FLOWS__IDL_S: unknown setting"):
        load(tmp_path, "", INFRASPECTRE_FLOWS__IDL_S="7")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        config.load(Schema, tmp_path / "absent.toml", {})
