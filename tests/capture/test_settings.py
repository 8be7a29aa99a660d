"""The defaults of the flow table: the core applies them by itself where nobody chose others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import msgspec

from infraspectre import _core
from infraspectre.capture.settings import CaptureSettings, FlowSettings

LIMITS = Path(__file__).parents[2] / "crates" / "core" / "src" / "flow" / "table.rs"
NANOSECONDS = 1_000_000_000


def test_the_defaults_are_those_of_the_core() -> None:
    (body,) = re.findall(r"impl Default for Limits \{.*?Limits \{(.*?)\}", LIMITS.read_text(), re.DOTALL)
    found = dict(re.findall(r"(\w+): ([^,]+),", body))
    limits = {name: eval(value, {"SECOND": NANOSECONDS}) for name, value in found.items()}
    ours = FlowSettings().options()
    seconds = {
        f"{name.removesuffix('_s')}_ns": value * NANOSECONDS for name, value in ours.items() if name[-2:] == "_s"
    }
    assert seconds | {name: value for name, value in ours.items() if name[-2:] != "_s"} == limits


def test_the_defaults_of_live_capture_are_those_of_the_core() -> None:
    parameters = inspect.signature(_core.LiveReader).parameters
    ours = msgspec.structs.asdict(CaptureSettings())
    assert ours.pop("filter") == ""
    assert parameters["program"].default is None
    assert {name: parameters[name].default for name in ours} == ours
