"""The options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple


class Common(NamedTuple):
    """Says how a command reads its settings and speaks.

    Parameters
    ----------
    json
        Print the result as JSON on stdout and nothing else there.
    quiet
        Print nothing but errors.
    config
        Read settings from this TOML file.
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


AS_GIVEN = RuleOptions()
ALL_RULES = RuleChoice()
BESIDE_RULES = NoteOptions()
