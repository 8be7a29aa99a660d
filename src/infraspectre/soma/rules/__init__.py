"""Own rules: conditions over the fields of flows, windows and sequences, written in YAML by a network's owner."""

from infraspectre.soma.rules.detector import PREFIX, OwnRules
from infraspectre.soma.rules.expression import Kind
from infraspectre.soma.rules.loading import RuleFile, RuleText, collecting, load_rules, placing, read_files
from infraspectre.soma.rules.rule import Rule
from infraspectre.soma.rules.tokens import RuleError, in_unit, quantity

__all__ = [
    "PREFIX",
    "Kind",
    "OwnRules",
    "Rule",
    "RuleError",
    "RuleFile",
    "RuleText",
    "collecting",
    "in_unit",
    "load_rules",
    "placing",
    "quantity",
    "read_files",
]
