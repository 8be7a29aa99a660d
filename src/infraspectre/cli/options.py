"""The options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple


class Common(NamedTuple):
    """Says how a command reads its settings and speaks.

    Parameters
    ----------
    json
        Print the result as JSON on stdout and nothing else there.
    quiet
        Print nothing but errors.
    config
        Read settings from this YAML or TOML file.
    debug
        Show the traceback of an error.
    """

    json: bool = False
    quiet: bool = False
    config: Path | None = None
    debug: bool = False


DEFAULT = Common()


class RuleOptions(NamedTuple):
    """Says how rules are read.

    Parameters
    ----------
    suricata_config
        Read Suricata's settings from this suricata.yaml.
    setting
        Set a setting of Suricata, as name=value, such as vars.address-groups.HOME_NET=10.0.0.0/8; may be repeated.
    state
        Read what was decided about the rules from this file instead of those beside the rules.
    """

    suricata_config: Path | None = None
    setting: Annotated[list[str] | None, "--set"] = None
    state: Path | None = None


class RuleChoice(NamedTuple):
    """Says which rules are meant: those of which everything given is true.

    Parameters
    ----------
    rule
        Take the rule with this sid, or gid:sid; of Sigma rules and own rules, the one with this identity.
    classtype
        Take rules of this class.
    msg
        Take rules whose message or title holds this regular expression.
    file
        Take rules of files with this name, in which * stands for anything.
    metadata
        Take rules with this name in their metadata, or this name and value.
    """

    rule: str | None = None
    classtype: str | None = None
    msg: str | None = None
    file: str | None = None
    metadata: str | None = None


class NoteOptions(NamedTuple):
    """Says how a decision about rules is noted.

    Parameters
    ----------
    reason
        Note why.
    state
        Note the decision in this file instead of the one beside the rules.
    """

    reason: str | None = None
    state: Path | None = None


class SplitOptions(NamedTuple):
    """Says what is measured on rows held out, and how they are.

    Parameters
    ----------
    group
        Never put rows with the same value of this column, such as a capture or campaign, on both sides.
    time
        Learn from the past and judge the future, by this column of times.
    folds
        Cross-validate with so many folds, and tell the figures of each.
    no_trial
        Hold out no fifth of the rows to measure a model on before the one from all rows is trained.
    """

    group: str | None = None
    time: str | None = None
    folds: int = 0
    no_trial: bool = False


class SearchOptions(NamedTuple):
    """Says how settings are searched for, and where trees are grown.

    Parameters
    ----------
    search
        Try so many settings, each on the folds of a cross-validation, and take the best.
    search_time
        Try no further settings after so many seconds.
    objective
        Take the settings with the highest recall at 1% false positives, or the highest macro-F1.
    device
        Grow trees on processors, on a GPU, or on a GPU if there is one.
    """

    search: int | None = None
    search_time: float | None = None
    objective: Literal["recall", "macro-f1"] = "recall"
    device: Literal["cpu", "cuda", "auto"] = "cpu"


AS_GIVEN = RuleOptions()
ALL_RULES = RuleChoice()
BESIDE_RULES = NoteOptions()
ONE_TRIAL = SplitOptions()
USUAL_SETTINGS = SearchOptions()
