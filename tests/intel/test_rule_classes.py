"""The classes of rules agree with the configuration that Suricata was run with."""

from __future__ import annotations

from pathlib import Path

from infraspectre.intel.rule_classes import classification_config


def priorities(text: str) -> dict[str, int]:
    lines = (line.partition(":")[2] for line in text.splitlines() if line.startswith("config classification"))
    return {line.split(",")[0].strip(): int(line.rpartition(",")[2]) for line in lines}


def test_each_class_has_words_and_a_priority() -> None:
    assert "config classification: attempted-admin,Attempted admin,1\n" in classification_config()
    assert len(priorities(classification_config())) == classification_config().count("\n")


def test_priorities_are_those_that_are_in_use(data: Path) -> None:
    known = (data / "net" / "rules" / "classification.config").read_text()
    assert priorities(classification_config()) == priorities(known)
