"""The rules in the guide are sound and see flows."""

from __future__ import annotations

import re
from pathlib import Path

from infraspectre.soma.sigma import load_sigma

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "sigma.md"


def test_the_rules_in_the_guide_can_be_used(tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)):
        (tmp_path / f"{number}.yml").write_text(text)
    sigma = load_sigma([tmp_path])
    assert [*sigma.refused, *sigma.unseen] == []
    assert {seat.rule.head.name for seat in sigma.seats} == {"odd_query", "remote_login"}
