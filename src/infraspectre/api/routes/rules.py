"""Rules: which there are, what they found and cost, switching them, and trying new ones."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, patch, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked, part_of
from infraspectre.api.problems import RefusedError
from infraspectre.records.detection import Detection, Severity, Technique
from infraspectre.records.queries import Kind
from infraspectre.records.times import rfc3339
from infraspectre.serving import rule_trial
from infraspectre.serving.metrics import DETECTOR_CPU
from infraspectre.serving.platform import Platform
from infraspectre.serving.rule_shelf import Hits, RuleBook, RuleState, ShelvedRule, text_of
from infraspectre.serving.rule_trial import TrialKind

PATH = "/api/v1/rules"
ONE = PATH + "/{rule_id:str}"
DETECTORS = {"own": "own_rules", "sigma": "sigma"}
"""The detectors that look at rules of each kind."""
FILTERS: dict[str, Kind] = {
    "rule_id": "text", "name": "text", "kind": "text", "file": "text", "state": "text", "severity": "text",
    "techniques": "texts", "hits": "integer",
}  # fmt: skip
MOST_TOLD = 20
"""Detections of a trial that are told."""
TRIAL_LIMIT_S = 60.0
Text = Annotated[str, Meta(min_length=1, max_length=65_536)]


class RuleCost(msgspec.Struct, frozen=True):
    """Is what the rules of a kind take together: all of them are judged in one pass."""

    cpu_ms: float
    """Processor time since the worker was started."""
    share: float
    """Of that of all detectors, 0 to 1."""


class RuleSummary(msgspec.Struct, frozen=True):
    """Is a rule as lists show it."""

    rule_id: str
    name: str
    title: str
    kind: str
    """own, sigma, or correlation."""
    file: str
    line: int
    state: RuleState
    reason: str
    """Why it is refused or unseen, with its remedy; empty for others."""
    severity: Severity
    techniques: list[str]
    hits: int
    """Detections of the last 30 days; those of Sigma rules with one title count together."""
    last_hit: str | None
    """To the minute."""
    cost: RuleCost | None
    """That of all rules of its kind; null where the worker has not told it yet."""


class RuleDetail(msgspec.Struct, frozen=True):
    """Is a rule with its text."""

    summary: RuleSummary
    text: str
    about: str
    """What it looks at; of an own rule its category, of a correlation what it makes."""
    switched_by: str
    """Who switched it last; empty for nobody."""
    switched_at: str | None


class RuleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says whether a rule shall be looked at."""

    enabled: bool


class RuleTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a rule to be tried."""

    text: Text
    kind: TrialKind | None = None
    """Told by the text where it is left out."""
    hours: Annotated[int, Meta(ge=1, le=720)] = 24


class TrialDetection(msgspec.Struct, frozen=True):
    """Is what a rule that is tried would have told."""

    at: str
    category: str
    severity: Severity
    score: float
    orig: str | None
    resp: str | None
    techniques: list[Technique]
    summary: str
    flow_ids: list[str]


class RuleFault(msgspec.Struct, frozen=True):
    """Says what is wrong with the text of a rule."""

    reason: str
    line: int | None
    field: str | None
    remedy: str | None


class TrialResult(msgspec.Struct, frozen=True):
    """Says what a rule found in the flows of the last hours."""

    is_valid: bool
    kind: TrialKind
    rules: int
    """Rules of the text that can be used."""
    errors: list[RuleFault]
    start: str
    end: str
    flows: int
    """Flows that were looked at: a million, or as many as ten seconds are enough for."""
    is_whole: bool
    """Whether these were all of the span."""
    matches: int
    """Detections."""
    first: list[TrialDetection]
    """The first 20."""
    cpu_ms: float


def cost_of(platform: Platform, kind: str) -> RuleCost | None:
    """Return what the rules of a kind take together."""
    spent = platform.metrics.values(DETECTOR_CPU)
    own = spent.get(DETECTORS.get(kind, ""))
    if own is None:
        return None
    return RuleCost(round(1_000 * own, 1), round(own / max(sum(spent.values()), 1e-9), 4))


def summary_of(book: RuleBook, rule: ShelvedRule, hits: Hits | None, cost: RuleCost | None) -> RuleSummary:
    """Return what lists show of a rule."""
    listed, refusal = rule.listed, rule.refusal
    told = [refusal.reason, refusal.remedy] if refusal else [listed.about] if listed.status == "unseen" else []
    return RuleSummary(
        rule_id=rule.rule_id,
        name=listed.name,
        title=listed.msg,
        kind=listed.kind,
        file=rule.file,
        line=refusal.line or listed.line if refusal else listed.line,
        state=book.state(rule),
        reason="; ".join(filter(None, told)),
        severity=listed.severity,
        techniques=list(listed.techniques),
        hits=hits.found if hits else 0,
        last_hit=rfc3339(hits.last) if hits else None,
        cost=cost,
    )


def rows_of(platform: Platform, book: RuleBook) -> list[dict[str, Any]]:
    """Return all rules as rows."""
    hits = book.hits()
    costs = {kind: cost_of(platform, kind) for kind in (*DETECTORS, "correlation")}
    rules = book.rules.values()
    return [asdict(summary_of(book, each, hits.get(each.rule_id), costs[each.listed.kind])) for each in rules]


def rule_named(book: RuleBook, rule_id: str) -> ShelvedRule:
    """Return a rule; raises RefusedError for one that there is not."""
    if rule_id not in book.rules:
        raise RefusedError("not-found", "there is no such rule")
    return book.rules[rule_id]


def detail_of(platform: Platform, book: RuleBook, rule: ShelvedRule) -> RuleDetail:
    """Return a rule with its text."""
    hits, switch = book.hits().get(rule.rule_id), book.switched_by(rule)
    return RuleDetail(
        summary=summary_of(book, rule, hits, cost_of(platform, rule.listed.kind)),
        text=text_of(rule),
        about=rule.listed.about,
        switched_by=switch.by if switch else "",
        switched_at=rfc3339(switch.at) if switch else None,
    )


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(FILTERS, RuleSummary.__struct_fields__)},
    sync_to_thread=True,
)
def list_rules(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[RuleSummary]:
    """List own rules, Sigma rules and rules of correlation as their files say, also those that are refused."""
    answer: PageOf[RuleSummary] = part_of(rows_of(platform, RuleBook(platform, principal.tenant)), question, FILTERS)
    return answer


@get(ONE, opt={"permission": "read"}, sync_to_thread=True)
def show_rule(platform: GivenPlatform, principal: GivenPrincipal, rule_id: InPath) -> RuleDetail:
    """Show a rule with its text."""
    book = RuleBook(platform, principal.tenant)
    return detail_of(platform, book, rule_named(book, rule_id))


@patch(ONE, opt={"permission": "engineer", "statuses": (409,)}, sync_to_thread=True)
def switch_rule(
    platform: GivenPlatform, principal: GivenPrincipal, rule_id: InPath, data: JSONBody[RuleChange]
) -> RuleDetail:
    """Switch an own rule or a Sigma rule off or on for the tenant; the worker follows within a minute."""
    book = RuleBook(platform, principal.tenant)
    rule = rule_named(book, rule_id)
    if not book.may_switch(rule):
        raise RefusedError(
            "conflict", f"a rule of kind {rule.listed.kind} that is {book.state(rule)} is not switched here"
        )
    book.switch(rule, data.enabled, principal.subject)
    return detail_of(platform, book, rule)


@post(
    PATH + "/test", opt={"permission": "engineer", "time_limit_s": TRIAL_LIMIT_S}, status_code=200, sync_to_thread=True
)
def try_rule(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[RuleTrial]) -> TrialResult:
    """Check the text of a rule, and run it on flows of the last hours; nothing is kept."""
    checked = rule_trial.check(data.text, data.kind)
    start, end = rule_trial.span(platform, data.hours)
    trial = rule_trial.Trial(0, True, [], 0.0)
    if checked.detector is not None and not checked.faults:
        trial = rule_trial.run(platform, principal.tenant, checked.detector, start, end)
    return TrialResult(
        is_valid=bool(checked.rules) and not checked.faults,
        kind=checked.kind,
        rules=checked.rules,
        errors=[RuleFault(each.reason, each.line, each.field, each.remedy) for each in checked.faults],
        start=rfc3339(start),
        end=rfc3339(end),
        flows=trial.flows,
        is_whole=trial.is_whole,
        matches=len(trial.found),
        first=list(map(told, trial.found[:MOST_TOLD])),
        cpu_ms=trial.cpu_ms,
    )


def told(found: Detection) -> TrialDetection:
    """Return what is told of a detection of a trial."""
    return TrialDetection(
        at=rfc3339(found.at),
        category=found.category,
        severity=found.severity,
        score=found.score,
        orig=found.orig,
        resp=found.resp,
        techniques=found.techniques,
        summary=found.evidence.summary,
        flow_ids=list(map(str, found.flow_ids)),
    )


HANDLERS = [list_rules, show_rule, switch_rule, try_rule]
