"""Models judge flows, or texts that flows carry; what they call hostile becomes detections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace

from infraspectre.intel.families import normal
from infraspectre.ml.bounded import BoundedTable
from infraspectre.ml.cascade import MICRO_BATCH, Cascade, Stage, Staged
from infraspectre.ml.detector import Explains, Judgement, Model, Vector
from infraspectre.ml.drift import ScoreWatch
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.security import printable
from infraspectre.soma.detector import IDENTITY, MAX_EXAMPLES, Case, Casebook, Finding, Row, gathered_parts, score_of
from infraspectre.soma.detector import probability as probability_of
from infraspectre.soma.techniques import (
    DNS,
    DOMAIN_GENERATION,
    EXPLOIT_PUBLIC_APPLICATION,
    EXPLOIT_REMOTE_SERVICE,
    NETWORK_SERVICE_DISCOVERY,
    PASSWORD_GUESSING,
    PROTOCOL_TUNNELING,
    REMOTE_SERVICES,
    SERVICE_FLOOD,
    UNENCRYPTED_ALTERNATIVE,
    WEB_PROTOCOLS,
)

LARGEST_PROBABILITY = 0.9999
"""No row is certain, so that every row has finite odds."""
LARGEST_SCORE = 0.85
"""A model that does not know the site raises nothing critical on its own: hostile flows are rarer there than where it
learnt."""


class Part(NamedTuple):
    """Says where in flows the texts of a model's column stand."""

    column: str
    """A column of flows, which holds lists of texts."""
    texts: Callable[[pl.Expr], pl.Expr]
    """Makes of each text in it the list of those that are judged."""


def parameter_values(uri: pl.Expr) -> pl.Expr:
    """Return the values of the parameters in the query of a request target, as sent (RFC 3986)."""
    pairs = uri.str.extract(r"\?([^#]*)").str.extract_all(r"[^&]+")
    return pairs.list.eval(pl.element().str.replace(r"^[^=]*=", ""))


def itself(text: pl.Expr) -> pl.Expr:
    """Return a text as the only one to judge."""
    return pl.concat_list(text)


PARTS = {
    "domain": Part("dns_queries", itself),
    "query": Part("dns_queries", itself),
    "payload": Part("http_uris", parameter_values),
}
"""What models of texts read, by the name of their column."""


class Meaning(NamedTuple):
    """Says what a class of a model is called in detections, and which ATT&CK technique it is."""

    words: tuple[str, ...]
    category: str
    techniques: tuple[Technique, ...]


MEANINGS = (
    Meaning(("dga",), "generated_domains", (DOMAIN_GENERATION,)),
    Meaning(("tunnel",), "dns_tunnel", (DNS, PROTOCOL_TUNNELING)),
    Meaning(("sqli", "sql"), "sql_injection", (EXPLOIT_PUBLIC_APPLICATION,)),
    Meaning(("xss",), "xss_injection", (EXPLOIT_PUBLIC_APPLICATION,)),
    Meaning(("traversal",), "path_traversal", (EXPLOIT_PUBLIC_APPLICATION,)),
    Meaning(("cmdi", "command_injection"), "command_injection", (EXPLOIT_PUBLIC_APPLICATION,)),
    Meaning(("scan", "sweep", "probe", "recon"), "port_scan", (NETWORK_SERVICE_DISCOVERY,)),
    Meaning(("brute", "password", "patator"), "brute_force", (PASSWORD_GUESSING,)),
    Meaning(("flood", "dos", "amplification"), "flood", (SERVICE_FLOOD,)),
    Meaning(("exfil",), "exfiltration", (UNENCRYPTED_ALTERNATIVE,)),
    Meaning(("lateral",), "lateral_movement", (REMOTE_SERVICES,)),
    Meaning(("beacon", "bot", "c2", "command_and_control"), "command_and_control", (WEB_PROTOCOLS,)),
    Meaning(("web",), "web_attack", (EXPLOIT_PUBLIC_APPLICATION,)),
    Meaning(("exploit", "worm"), "exploit", (EXPLOIT_REMOTE_SERVICE,)),
)
"""Classes whose meaning is known, by words in their names; the first that fits counts."""
UNKNOWN = Meaning((), "hostile_by_model", ())


def meaning(label: str) -> Meaning:
    """Return what a class means; of one whose name says nothing, only that a model calls it hostile."""
    plain = normal(label)
    return next((each for each in MEANINGS if any(word in plain for word in each.words)), UNKNOWN)


class ModelSettings(msgspec.Struct, frozen=True):
    """Sets what a model's verdicts are reported from, and how many are remembered."""

    least_score: float = 0.3
    """Score from which a case is reported: that of the severity low."""
    reports: int = 512
    """Detections of one model; a flood from a million addresses does not become a million of them."""
    capacity: int = 16_384
    """Hosts, and pairs of host and class, kept."""


class Actor(NamedTuple):
    """Identifies who is said to do what."""

    orig: str
    label: str


class JudgedCase(Case):
    """Sums up what a model called one class among the rows of one host."""

    def __init__(self) -> None:
        """Start with nothing judged."""
        super().__init__()
        self.hostile = 0
        self.odds, self.low_odds, self.high_odds = 0.0, 0.0, 0.0
        self.stage = 0
        self.telling: tuple[float, Row] = (-math.inf, {})
        """The score and the values of its most suspicious row."""
        self.targets: dict[str, None] = {}


class ModelDetector:
    """Shows flows, or texts of theirs, to a model, and gathers what it calls hostile by host and class.

    The probability of a case is that of a mixture: if just one of the n rows of a host is hostile, and any of them may
    be, the odds of that are the mean of the odds of its rows. So one doubtful row among many says little, one clear
    row says much, and rows that are all suspicious say what each of them says.
    """

    def __init__(
        self, name: str, model: Model, settings: ModelSettings | None = None, *, least: float = -math.inf
    ) -> None:
        """Ask a model, known by this name in detections; rows that score at most `least` count as benign."""
        self.name = name
        self._model = model
        self._least = least
        self._cascade: Cascade[str] | None = Cascade(model) if isinstance(model, Staged) else None
        self._part = part_of(model.columns)
        self._settings = settings or ModelSettings()
        self._judged: BoundedTable[str, Count] = BoundedTable(self._settings.capacity, Count)
        self._book: Casebook[Actor, JudgedCase] = Casebook(
            name, self._settings.capacity, JudgedCase, self._judge, self._explained
        )
        self._reported = self._told = 0
        self.watch = ScoreWatch()
        """Tells how far its probabilities have moved."""
        self._schema = pl.Schema()
        self.columns = needed_columns(model.columns)
        self.helpful = frozenset[str]()

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what the model calls hostile for the first time, or ten times as often as when it was reported."""
        rows = frame if self._part is None else texts_of(frame, self._part, self._model.columns[0])
        self._schema = rows.select(self._model.columns).schema
        for orig, count in rows.group_by("orig_ip", maintain_order=True).len().iter_rows():
            self._judged[orig].value += count
        groups = gathered_parts(self._hostile(rows), ["orig_ip", "label"], **MEASURES)
        return self._limited(self._book.review([self._absorb(row) for row in groups]))

    def finish(self) -> list[Detection]:
        """Return what has grown since it was reported."""
        return self._limited(self._book.close())

    def _limited(self, found: list[Detection]) -> list[Detection]:
        found = found[: self._settings.reports - self._reported]
        self._reported += len(found)
        return found

    def _hostile(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that the model does not call benign, with the odds that they are hostile."""
        benign, example = self._model.classes[0], None if self._part is None else self._model.columns[0]
        columns = self._model.columns
        parts = (with_verdicts(part, *self._ask(part), columns, example) for part in rows.iter_slices(MICRO_BATCH))
        hostile = [part.filter((pl.col("label") != benign) & (pl.col("score") > self._least)) for part in parts]
        return pl.concat(hostile) if hostile else pl.DataFrame()

    def _ask(self, rows: pl.DataFrame) -> tuple[Judgement, int]:
        """Return what the model says of a micro-batch, and the last stage that its suspicious rows reached."""
        if self._cascade is None:
            judgement, stage = self._model.judge(rows), int(Stage.FAMILIES)
        else:
            verdicts = self._cascade.judge(rows)
            judgement, stage = verdicts.judgement, int(verdicts.stages.max(initial=Stage.TRIAGE))
        self.watch.add(judgement.probabilities)
        return judgement, stage

    def _absorb(self, row: Row) -> Actor:
        actor = Actor(row["orig_ip"], row["label"])
        case = self._book[actor]
        case.absorb(row)
        case.hostile += row["rows"]
        case.odds += row["odds"]
        case.low_odds += row["low_odds"]
        case.high_odds += row["high_odds"]
        case.stage = max(case.stage, row["stage"])
        case.telling = max(case.telling, (row["highest"], row["telling"]), key=itemgetter(0))
        if len(case.targets) < 2:  # more need not be known: only a lone target is named
            case.targets |= dict.fromkeys(row["targets"])
        case.show(row["examples"])
        return actor

    def _judge(self, actor: Actor, case: JudgedCase) -> Finding | None:
        rows = max(self._judged[actor.orig].value, case.hostile)
        probability, low, high = (share(odds / rows) for odds in (case.odds, case.low_odds, case.high_odds))
        score = min(LARGEST_SCORE, score_of(probability))
        if score < self._settings.least_score:
            return None
        known, what = meaning(actor.label), "flow" if self._part is None else "text"
        return Finding(
            category=known.category,
            techniques=known.techniques,
            score=score,
            orig=actor.orig,
            resp=next(iter(case.targets)) if len(case.targets) == 1 else None,
            summary=f"{self.name} calls {case.hostile:,} of {plural(rows, what)} of {actor.orig} "
            f"{printable(actor.label)}; the probability is {probability:.2f}, from {low:.2f} to {high:.2f}",
            size=case.hostile,
            measures={
                "rows": rows,
                "hostile_rows": case.hostile,
                "stage": case.stage,
                "probability": round(probability, 4),
                "probability_low": round(low, 4),
                "probability_high": round(high, 4),
            },
            thresholds={"probability": probability_of(self._settings.least_score)},
            rule=actor.label,
            probability=probability,
        )

    def _explained(self, _actor: Actor, case: JudgedCase, finding: Finding) -> Finding:
        """Add why the most suspicious row is judged as it is, where the model can say so and the report is given."""
        self._told += 1
        if self._told > self._settings.reports or not isinstance(self._model, Explains):
            return finding
        row = pl.DataFrame([case.telling[1]], schema=self._schema)
        words = printable(self._model.explain(row)[0].words)
        return replace(
            finding,
            summary=f"{finding.summary}. Most suspicious: {words[0].lower()}{words[1:]}",
            measures=finding.measures | {"stage": Stage.EXPLANATIONS},
        )


class Count:
    """Counts."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.value = 0


MEASURES = {
    "odds": pl.col("odds").sum(),
    "low_odds": pl.col("low_odds").sum(),
    "high_odds": pl.col("high_odds").sum(),
    "stage": pl.col("stage").max(),
    "highest": pl.col("score").max(),
    "telling": pl.col("row").sort_by("score", descending=True, maintain_order=True).first(),
    "targets": pl.col("resp_ip").unique(maintain_order=True).head(2),
    "examples": pl.col("example").unique(maintain_order=True).head(MAX_EXAMPLES),
}


def part_of(columns: Sequence[str]) -> Part | None:
    """Return what part of flows a model with these columns reads; None for one that reads flows themselves."""
    return PARTS.get(columns[0]) if len(columns) == 1 else None


def needed_columns(columns: Sequence[str]) -> frozenset[str]:
    """Return the columns of flows that a model with these columns reads, or finds its texts in."""
    part = part_of(columns)
    return frozenset(columns if part is None else [part.column])


def texts_of(frame: pl.DataFrame, part: Part, column: str) -> pl.DataFrame:
    """Return a row for each text of a part of flows, under the name by which the model knows them."""
    rows = frame.select(*IDENTITY, part.column).filter(pl.col(part.column).list.len() > 0).explode(part.column)
    texts = rows.select(*IDENTITY, part.texts(pl.col(part.column)).alias(column)).explode(column)
    return texts.filter(pl.col(column).str.len_bytes() > 0)


def with_verdicts(
    rows: pl.DataFrame, judged: Judgement, stage: int, columns: Sequence[str], example: str | None
) -> pl.DataFrame:
    """Return rows beside what a model says of them; the column that is an example of what was judged, if there is."""
    values = {"odds": judged.probabilities, "low_odds": judged.low, "high_odds": judged.high}
    return rows.select(
        *IDENTITY,
        example=pl.lit(None, pl.String) if example is None else pl.col(example),
        label=pl.Series(judged.labels, dtype=pl.String),
        score=pl.Series(judged.scores),
        stage=pl.lit(stage),
        row=pl.struct(columns),
        **{name: pl.Series(odds_of(each)) for name, each in values.items()},
    )


def odds_of(probabilities: Vector) -> Vector:
    """Return the odds of probabilities, none of them certain."""
    bounded = np.clip(probabilities, 0.0, LARGEST_PROBABILITY)
    return bounded / (1.0 - bounded)


def share(odds: float) -> float:
    """Return odds as a probability."""
    return odds / (1.0 + odds)
