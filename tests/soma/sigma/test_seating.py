"""Rules get seats where they can look; those that see nothing in flows are told apart, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.soma.sigma import SigmaRules, load_sigma
from sigma_rules import DISCARD, MANY, PROCESS, documents


def loaded(folder: Path, *texts: str) -> SigmaRules:
    (folder / "rules.yml").write_text(documents(*texts))
    return load_sigma([folder])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PROCESS, "looks at category process_creation, product windows, which is not seen in network traffic"),
        (DISCARD.replace("{dst_port: 9}", "{Image: a}"), "asks for Image, which network traffic does not tell"),
    ],
)
def test_a_rule_that_sees_nothing_in_flows_is_named(text: str, problem: str, tmp_path: Path) -> None:
    made = loaded(tmp_path, text)
    (unseen,) = made.unseen
    assert (made.refused, len(made)) == ([], 0)
    assert (unseen.problem, unseen.path, unseen.line) == (problem, str(tmp_path / "rules.yml"), 1)


def test_a_rule_for_no_log_source_in_particular_sits_in_each_stream_that_has_its_fields(tmp_path: Path) -> None:
    made = loaded(tmp_path, DISCARD.replace("{category: firewall}", "{product: zeek}").replace("dst_port", "id.resp_p"))
    assert len(made) == 1
    assert len(made.seats) > 5


def test_correlations_need_rules_that_see_flows_and_fields_that_flows_have(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, MANY, DISCARD)) == 2
    blind = loaded(tmp_path, MANY, DISCARD.replace("firewall", "antivirus"))
    assert [each.problem for each in blind.unseen][1:] == ["builds on rules that see nothing in flows"]
    unknown = loaded(tmp_path, MANY.replace("[src_ip]", "[username]"), DISCARD)
    assert [each.problem for each in unknown.unseen] == ["asks for the field 'username', which flows do not have"]
