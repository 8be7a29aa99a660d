from __future__ import annotations

import pytest

from infraspectre.intel.attack import attack_table, in_tactic, kill_chain_position, tactic_name, tactics, technique
from infraspectre.records import TacticTechnique, Technique


def test_techniques_have_full_names_and_tactics_in_kill_chain_order() -> None:
    assert technique("T1110.001") == Technique("T1110.001", "Brute Force: Password Guessing")
    assert tactics("T1078") == ["initial-access", "persistence", "privilege-escalation", "defense-evasion"]


def test_an_unknown_technique_is_an_error_but_has_no_tactics() -> None:
    with pytest.raises(KeyError):
        technique("T9999")
    assert tactics("T9999") == []


def test_every_technique_serves_a_tactic_of_the_table() -> None:
    table = attack_table()
    assert len(table.techniques) > 600
    assert all(served and set(served) <= set(table.tactics) for _, served in table.techniques.values())


def test_the_table_bears_its_version_and_notice() -> None:
    assert attack_table().version.startswith("18")
    assert "reproduced and distributed with the permission of The MITRE Corporation" in attack_table().notice


def test_the_preferred_tactic_is_chosen_only_where_the_technique_serves_it() -> None:
    valid = Technique("T1078", "Valid Accounts")
    assert in_tactic(valid, "persistence").tactic == "persistence"
    assert in_tactic(valid, "impact").tactic == "initial-access"
    assert in_tactic(Technique("T9999", "own"), "impact") == TacticTechnique("T9999", "own", "impact")


def test_tactics_are_ordered_along_the_kill_chain() -> None:
    assert kill_chain_position("reconnaissance") < kill_chain_position("impact") < kill_chain_position("no such tactic")
    assert tactic_name("command-and-control") == "Command and Control"
