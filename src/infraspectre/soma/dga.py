"""Generated domains: a host that asks for many names which do not exist and look as if an algorithm made them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import polars as pl

from infraspectre.ml.detector import Model
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered_parts, in_seconds
from infraspectre.soma.resolvers import Resolvers
from infraspectre.soma.techniques import DOMAIN_GENERATION
from infraspectre.soma.text_models import registered_name

MISSING = "NXDOMAIN"
PRIVATE = (
    r"(?:^|\.)(?:arpa|local|lan|home|internal|localdomain|intranet|private|corp|workgroup|test|invalid|localhost)$"
)
"""Ends of names that the internet does not know, whatever they look like (RFC 6761, RFC 6762, RFC 8244)."""
NAMES_OF_ROW = 512
"""Names taken of one host in one block, which bounds what a case absorbs at once."""


class DgaSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of the detection of generated domains."""

    missing: int = 10
    """Registered domains that do not exist: a person mistypes a few in a day, an algorithm tries hundreds."""
    generated: int = 8
    """Of these, domains that the model calls generated: it calls 1 of 100 chosen ones so, thus 8 of 10 by no chance."""
    generated_share: float = 0.4
    """Share of them among domains that do not exist; a resolver of a whole site mixes in mistyped ones."""
    existing_share: float = 0.3
    """Most of the generated domains that may exist: only few of an algorithm's are ever registered."""
    full: int = 256
    """Generated domains at which the score is full."""
    burst: int = 20
    """Domains that do not exist, of one block of flows: whatever they look like, such as words put together."""
    missing_share: float = 0.5
    """Share of them among the domains of that block: programs that follow links find most of them."""
    burst_score: float = 0.55
    """Score of such a burst; it rises with the number of domains as that of generated ones does."""
    kept_names: int = 256
    """Domains kept of a host, those that do not exist and those that do; what comes after is not judged."""
    capacity: int = 2_048
    """Hosts kept."""


Verdicts = dict[str, bool | None]
"""Whether each domain is generated; None until the model was asked."""


class AskingCase(Case):
    """Keeps the registered domains that a host asked for, by whether they exist."""

    def __init__(self) -> None:
        """Start with no name."""
        super().__init__()
        self.missing: Verdicts = {}
        self.existing: Verdicts = {}
        self.asked_at: dict[str, int] = {}
        """When each missing domain was first asked for, in nanoseconds."""
        self.burst: list[str] = []
        """Domains that newly did not exist in the blocks of which many such were the larger part."""

    def add_missing(self, asked: list[str], times: list[int], most: int) -> list[str]:
        """Keep the registered domains of names that do not exist, up to `most` in all, and return the new ones."""
        before = len(self.missing)
        for name, at in zip(map(registered_name, asked), times, strict=True):
            if len(self.missing) < most and name not in self.missing:
                self.missing[name], self.asked_at[name] = None, at
        return list(self.missing)[before:]

    def add_existing(self, asked: list[str], most: int) -> None:
        """Keep the registered domains of names that exist, up to `most` in all."""
        for name in asked[: most - len(self.existing)]:
            self.existing.setdefault(registered_name(name), None)

    def span(self, domains: list[str]) -> None:
        """Let the case last from the first of these domains to the last: mistyped ones before say nothing about it."""
        times = [self.asked_at[name] for name in domains]
        self.first_seen, self.last_seen = min(times), max(times)


class Dga:
    """Finds hosts that try generated domains, most of which do not exist.

    The model is asked about hosts alone that asked for several domains that do not exist, and read when there is one.
    """

    name = "dga"
    columns = frozenset({"dns_queries", "dns_response_codes"})
    helpful = frozenset({"dns_nxdomain_count"})

    def __init__(self, model: Callable[[], Model], settings: DgaSettings | None = None) -> None:
        """Start with no case; `model` reads a model that judges a column "domain"."""
        self._settings = settings or DgaSettings()
        self._read = model
        self._resolvers = Resolvers()
        self._model: Model | None = None
        self._book: Casebook[str, AskingCase] = Casebook(self.name, self._settings.capacity, AskingCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return hosts that passed the thresholds, or whose generated domains grew tenfold."""
        self._resolvers.learn(frame.filter(pl.col("dns_queries").list.len() > 0))
        answered = frame.filter(pl.col("dns_response_codes").list.len() > 0)
        misses = pl.col("dns_response_codes").list.contains(MISSING)
        hosts = set(answered.filter(misses)["orig_ip"]) | {host for host, _ in self._book.cases.items()}
        is_missing = pl.col("is_missing")
        rows = gathered_parts(
            _asked(answered.filter(pl.col("orig_ip").is_in(sorted(hosts)))),
            ["orig_ip"],
            missing=pl.col("name").filter(is_missing).head(NAMES_OF_ROW),
            times=pl.col("started_at").filter(is_missing).head(NAMES_OF_ROW),
            existing=pl.col("name").filter(~is_missing).head(NAMES_OF_ROW),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return hosts whose generated domains grew since their last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> str:
        case, most = self._book[row["orig_ip"]], self._settings.kept_names
        case.absorb(row)
        news = case.add_missing(row["missing"], row["times"], most)
        case.add_existing(row["existing"], most)
        found = len({registered_name(name) for name in row["existing"]})
        if len(news) >= max(self._settings.burst, self._settings.missing_share * (len(news) + found)):
            case.burst += news
        return str(row["orig_ip"])

    def _ask(self, names: Verdicts) -> list[str]:
        """Return the generated ones among names; those not judged yet are judged."""
        new = [name for name, verdict in names.items() if verdict is None]
        if new:
            self._model = self._model or self._read()
            benign = self._model.classes[0]
            labels = self._model.judge(pl.DataFrame({"domain": new})).labels
            names.update((name, label != benign) for name, label in zip(new, labels, strict=True))
        return [name for name, is_generated in names.items() if is_generated]

    def _judge(self, host: str, case: AskingCase) -> Finding | None:
        settings, missing = self._settings, len(case.missing)
        if missing < settings.missing:
            return None
        if host in self._resolvers:
            return None
        generated = self._ask(case.missing)
        share = len(generated) / missing
        existing = len(self._ask(case.existing)) if generated else 0
        existing_share = existing / max(1, existing + len(generated))
        looks = (
            len(generated) >= settings.generated
            and share >= settings.generated_share
            and existing_share <= settings.existing_share
        )
        if not looks and not case.burst:
            return None
        case.show(generated or case.missing)
        case.span(generated if looks else case.burst)
        return Finding(
            category="generated_domains",
            techniques=(DOMAIN_GENERATION,),
            score=settings.burst_score
            + 0.2 * log_ramp(missing, settings.generated, settings.full)
            + 0.2 * (share if looks else 0.0),
            orig=host,
            resp=None,
            summary=f"{host} asked for {missing} domains that do not exist in {in_seconds(case.duration_s)}; "
            f"{len(generated)} of them look generated, such as {next(iter(case.examples))}",
            size=missing,
            measures={
                "missing_domains": missing,
                "generated_domains": len(generated),
                "generated_share": share,
                "existing_generated_domains": existing,
                "existing_share": existing_share,
                "burst_domains": len(case.burst),
            },
            thresholds={
                "missing_domains": settings.missing,
                "generated_domains": settings.generated,
                "generated_share": settings.generated_share,
                "existing_share": settings.existing_share,
                "burst_domains": settings.burst,
            },
        )


def _asked(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each name that a host asked for and got an answer to, and whether it does not exist.

    Where a flow has not as many responses as questions, its names are missing if most of its responses say so.
    """
    asked = frame.filter(pl.col("dns_queries").list.len() > 0, pl.col("dns_response_codes").list.len() > 0)
    is_missing = pl.col("dns_response_codes").list.eval(pl.element() == MISSING)
    questions = pl.col("dns_queries").list.len()
    mostly = is_missing.list.mean().fill_null(0.0) > 0.5
    told = pl.when(is_missing.list.len() == questions).then(is_missing).otherwise(mostly.repeat_by(questions))
    rows = asked.with_columns(is_missing=told).rename({"dns_queries": "name"}).explode("name", "is_missing")
    is_public = pl.col("name").str.contains(".", literal=True) & ~pl.col("name").str.contains(PRIVATE)
    told_apart = ["orig_ip", "name", "is_missing"]
    known = rows.filter(is_public, pl.col("is_missing").is_not_null())
    return known.unique(told_apart, keep="first", maintain_order=True)
