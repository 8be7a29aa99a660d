"""Own rules: conditions over the fields of flows, windows and sequences, written in YAML by a network's owner."""

from infraspectre.soma.rules.detector import OwnRules
from infraspectre.soma.rules.expression import Kind
from infraspectre.soma.rules.loading import RuleFile, load_rules, read_rules, repeated, rule_paths
from infraspectre.soma.rules.rule import Rule

__all__ = ["Kind", "OwnRules", "Rule", "RuleFile", "load_rules", "read_rules", "repeated", "rule_paths"]
