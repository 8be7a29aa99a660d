from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from infraspectre import config
from infraspectre.errors import ConfigError
from infraspectre.settings import Settings


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


def load_yaml(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "infraspectre.yaml"
    path.write_text(text)
    return config.load(Schema, path, {})


def test_yaml_is_read_by_its_suffix_and_empty_sections_are_defaults(tmp_path: Path) -> None:
    assert load_yaml(tmp_path, "flows:\n  idle_s: 5\n").flows == Section(5.0, "a")
    assert load_yaml(tmp_path, "flows:\n  # idle_s: 5\n") == Schema()
    assert load_yaml(tmp_path, "") == Schema()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("flows:\n  idl_s: 5", 2, "flows.idl_s: unknown setting"),
        ("flows:\n  idle_s: 5\n  idle_s: 6", 3, "'idle_s' is written twice"),
        ("flows: &a\n  name: x\nmore: *a", 3, "aliases are not allowed"),
        ("[" * 40, 1, "nested deeper"),
        ("flows: !!python/object/apply:os.system ['true']", 1, "could not determine a constructor"),
        ("- flows", 1, "holds no sections"),
        ("a: 1\n---\nb: 2", 3, "more than one document"),
    ],
)
def test_mistakes_in_yaml_are_named_by_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=r"infraspectre\.yaml") as caught:
        load_yaml(tmp_path, text)
    assert caught.value.line == line
    assert message in str(caught.value)


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load_yaml(tmp_path, "#" * (1 << 20) + "\n")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("flows:\n  udp_idle_s: soon", "write number, at least 0; the default is 60.0"),
        ("server:\n  hots: a", "did you mean server.host? "),
        ("zebra:\n  a: 1", "'infraspectre config show' lists every setting"),
        ("server: 5", "write settings below it; "),
        ("response:\n  protected: [1]", "write list, each text; the default is []"),
    ],
)
def test_every_mistake_has_a_remedy_of_its_own(tmp_path: Path, text: str, remedy: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    [found] = config.check(Settings, path)
    assert found.line
    assert found.field
    assert str(found.remedy).startswith(remedy)


@pytest.mark.parametrize(
    "text",
    ["- a", "a: 1\n---\nb: 2", "a: &b 1\nc: *b", "server:\n  port: 1\n  port: 2", "{", "\x80", "#" * (1 << 20) + "\n"],
)
@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_a_file_that_is_none_has_a_remedy(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(text.encode("latin-1"))
    [found] = config.check(Settings, path)
    assert found.remedy


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("server:\n  port: 99999\n  hots: a\nflows:\n  udp_idle_s: soon\nresponse:\n  protected: [1, 2]\n")
    found = config.check(Settings, path)
    assert [(each.line, each.field) for each in found] == [
        (2, "server.port"),
        (3, "server.hots"),
        (5, "flows.udp_idle_s"),
        (7, "response.protected[0]"),
    ]
    with pytest.raises(ConfigError) as caught:
        config.load(Settings, path, {})
    assert len(caught.value.others) == 3


def test_the_written_file_holds_every_setting_with_its_default(tmp_path: Path) -> None:
    path = tmp_path / "infraspectre.yaml"
    path.write_text(config.document(Settings))
    assert config.load(Settings, path, {}) == Settings()
    path.write_text(re.sub(r"^( *)#(\w+: )", r"\1\2", path.read_text(), flags=re.MULTILINE))
    assert config.load(Settings, path, {}) == Settings()
    written = set(re.findall(r"^ *(\w+): ", path.read_text(), flags=re.MULTILINE))
    assert {each.name.rpartition(".")[2] for each in settings_of(config.described(Settings))} <= written


def settings_of(found: Iterable[config.Setting]) -> Iterator[config.Setting]:
    for each in found:
        yield from settings_of(each.settings) if each.settings is not None else [each]
