"""The composition root: settings and inputs in, results out; the only place that knows the adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from infraspectre import __version__, config
from infraspectre.capture import CaptureSource, FeatureSet, InputKind, classify_all
from infraspectre.errors import InputError, UsageError
from infraspectre.files import make_folder, write_whole, writing_to
from infraspectre.ports import Account, Alerts, Claims, FlowSource, FlowWriter
from infraspectre.records.flows import FlowBatch

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.yara import YaraRules
    from infraspectre.capture.signatures import Rules
    from infraspectre.intel.indicators import Collection
    from infraspectre.ml.detector import Model
    from infraspectre.own_rules import Report as RuleTests
    from infraspectre.own_rules import YaraBench
    from infraspectre.pipeline import Pipeline
    from infraspectre.records import Decision, Detection, Summary
    from infraspectre.records.rules import Refusal
    from infraspectre.reflex import Reflex
    from infraspectre.rulebook import Scan
    from infraspectre.settings import Settings
    from infraspectre.soma import Detector
    from infraspectre.soma.sigma import SigmaRules
    from infraspectre.telemetry import Meter

Source = str | PathLike[str]
Progress = Callable[[int, int, int], None]
"""Is told, after each batch, the bytes read, the bytes in all (0 if unknown), and the flows so far."""


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings from defaults, a file and the environment."""
    from infraspectre.settings import Settings

    return config.load(Settings, path)


def chosen_settings(path: Path | None = None) -> Settings | None:
    """Read the settings, or return None where nobody chose any; every part has its own defaults."""
    return load_settings(path) if path or config.is_given() else None


def open_source(inputs: Sequence[Source], features: FeatureSet, settings: Settings | None) -> FlowSource:
    """Return the flows of captures or logs, whichever the inputs are."""
    paths = [fspath(path) for path in inputs]
    kind = classify_all(paths)
    if kind is InputKind.CAPTURE:
        return CaptureSource(paths, features, settings.flows if settings else None)
    if features == "cic":
        raise UsageError(f"a {kind} has no CICFlowMeter columns", path=paths[0], remedy="use --features base or full")
    return open_log(kind, paths, features)


def open_log(kind: InputKind, paths: Sequence[str], features: FeatureSet) -> FlowSource:
    """Return the flows of logs."""
    if kind is InputKind.ZEEK:
        from infraspectre.adapters.zeek import zeek_source

        return zeek_source(paths, features)
    if kind is InputKind.EVE:
        from infraspectre.adapters.eve import eve_source

        return eve_source(paths, features)
    from infraspectre.adapters.flow_tables import flow_table_source

    return flow_table_source(paths, features)


def flows(*sources: Source, features: FeatureSet = "full", settings: Settings | None = None) -> Iterator[FlowBatch]:
    """Yield batches of the flows in captures or logs, in the order in which they ended."""
    return iter(open_source(sources, features, settings or chosen_settings()))


def write_flows(
    inputs: Sequence[Source],
    out: Source,
    features: FeatureSet | Literal["vector"] = "full",
    settings: Settings | None = None,
    progress: Progress | None = None,
    intel: Collection | None = None,
) -> Account:
    """Write the flows in captures or logs to a file whose name ends with .parquet, .csv, .jsonl or .log (Zeek).

    What `intel`, from `load_intel`, says of hosts and names goes into the features of vectors.
    """
    from infraspectre.adapters.exports import flow_writer

    source = open_source(inputs, "full" if features == "vector" else features, settings or chosen_settings())
    writer = flow_writer(Path(out))
    with discarding(writer):
        batches = reported(source, progress)
        for flow_batch in vectors(batches, intel) if features == "vector" else batches:
            writer.write(flow_batch)
        writer.close()
    return source.account()


def vectors(batches: Iterable[FlowBatch], intel: Collection | None = None) -> Iterator[FlowBatch]:
    """Yield the feature vectors of flows, each behind its flow's id; first none, so that a file has its columns."""
    import polars as pl

    from infraspectre.axon import VECTOR, Axon, Vectors
    from infraspectre.axon.intelligence import IndicatorFacts

    axon, maker = Axon(), Vectors(None if intel is None else IndicatorFacts(intel.index))
    yield FlowBatch(pl.DataFrame(schema={"flow_id": pl.UInt64} | dict.fromkeys(VECTOR.names, pl.Float32)))
    for flows in batches:
        vector = maker.extract(flows, axon.extract(flows))
        yield FlowBatch(vector.insert_column(0, flows.frame["flow_id"]))


class discarding:  # noqa: N801 - reads as a statement
    """Removes what a writer wrote when the block is left by an error or an interruption."""

    def __init__(self, writer: FlowWriter) -> None:
        """Remember the writer."""
        self._writer = writer

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):
                self._writer.discard()


def reported(source: FlowSource, progress: Progress | None) -> Iterator[FlowBatch]:
    """Yield the batches of a source and report progress after each."""
    count = 0
    for flow_batch in source:
        count += len(flow_batch)
        yield flow_batch
        if progress:
            progress(*source.progress(), count)


class Analysis:
    """Holds what an analysis found; its files lie in `folder`."""

    def __init__(self, summary: Summary, incidents: list[Decision], detections: list[Detection], folder: Path) -> None:
        """Take the account, the decided incidents (the most threatening first), the detections and the folder."""
        self.summary = summary
        self.incidents = incidents
        self.detections = detections
        self.folder = folder

    @property
    def flows(self) -> pl.DataFrame:
        """Return all flows as a polars frame; `to_pandas()` and DuckDB take it without copying numbers."""
        import polars as pl

        return pl.read_parquet(self.folder / "flows.parquet")

    def report(self, path: Source) -> Path:
        """Write the report to a file and return its path."""
        write_whole(Path(path), (self.folder / "report.html").read_bytes())
        return Path(path)

    def __repr__(self) -> str:
        head = (
            f"Analysis of {self.summary.packets:,} packets in {self.summary.flows:,} flows: "
            f"{len(self.detections)} detections, {len(self.incidents)} incidents"
        )
        return "\n".join([head, *(f"  {line(decision)}" for decision in self.incidents)])

    def _repr_html_(self) -> str:
        import html

        head, *rest = repr(self).splitlines()
        items = "".join(f"<li>{html.escape(text.strip())}</li>" for text in rest)
        return f"<p>{html.escape(head)}</p><ol>{items}</ol>"


def line(decision: Decision) -> str:
    """Return an incident on one line."""
    score = decision.threat_score
    return f"{score.value:5.1f} {score.level:<13} {decision.incident.title}"


def analyze(
    *inputs: Source,
    out: Source | None = None,
    assets: Source | None = None,
    signatures: Rules | None = None,
    sigma: SigmaRules | None = None,
    own_rules: Sequence[Source] = (),
    yara: YaraRules | None = None,
    models: Sequence[Source] = (),
    correlation: Sequence[Source] = (),
    intel: Collection | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Analyze captures or logs and write flows, detections, incidents, summary and report into a folder.

    Without `out`, the files lie in a temporary folder that goes with the returned object. `assets` names a CSV or YAML
    file that says what is known about the network's hosts, and who may do what; incidents of critical hosts score
    higher, and what is allowed scores lower.
    `signatures`, from `load_rules`, are matched on captures, and their alerts become detections.
    `sigma`, from `load_sigma`, is evaluated over flows. `own_rules` names files and folders of own rules in YAML.
    `yara`, from `load_yara`, scans what the flows of captures carried. `models` names folders of models, or built-in
    ones such as builtin:dga; they judge flows, or texts in them. `correlation` names files and folders of rules that
    say which detections are joined. `intel`, from `load_intel`, is looked for in flows.
    """
    from infraspectre.adapters.alert_log import AlertLog
    from infraspectre.telemetry import Meter

    meter = Meter()
    log = None if signatures is None else AlertLog()
    if signatures is not None:
        from infraspectre.rulebook import require_files

        require_files(inputs, "flows")
    scan = None if yara is None else open_scan(inputs, yara)
    settings = settings or chosen_settings()
    source = open_source(inputs, "full", settings)
    pipeline = compose(
        assets,
        log,
        sigma,
        own_rules,
        scan,
        models=models,
        correlation=correlation,
        intel=intel,
        settings=settings,
        claims=claims_of(source),
    )
    if signatures is not None and log is not None:
        from infraspectre.rulebook import MatchedSource, match

        matched = match(inputs, signatures, log, progress)
        source = MatchedSource(source, log, matched)
    if scan is not None:
        source = scan.beside(source)
    if out is not None:
        return Run(source, pipeline, make_folder(Path(out)), intel).complete(progress, meter)
    return analyze_aside(source, pipeline, intel, progress, meter)


def analyze_aside(
    source: FlowSource, pipeline: Pipeline, intel: Collection | None, progress: Progress | None, meter: Meter
) -> Analysis:
    """Analyze into a temporary folder that goes with the returned object."""
    from functools import partial
    from shutil import rmtree
    from tempfile import mkdtemp
    from weakref import finalize

    folder = Path(mkdtemp(prefix="infraspectre-"))
    remove = partial(rmtree, folder, ignore_errors=True)
    try:
        analysis = Run(source, pipeline, folder, intel).complete(progress, meter)
    except BaseException:
        remove()
        raise
    finalize(analysis, remove)
    return analysis


def open_scan(inputs: Sequence[Source], yara: YaraRules) -> Scan:
    """Return the scan of captures with YARA rules."""
    from infraspectre.rulebook import Scan

    return Scan(inputs, yara)


def compose(
    assets: Source | None = None,
    alerts: Alerts | None = None,
    sigma: SigmaRules | None = None,
    own_rules: Sequence[Source] = (),
    scan: Scan | None = None,
    models: Sequence[Source] = (),
    correlation: Sequence[Source] = (),
    intel: Collection | None = None,
    settings: Settings | None = None,
    claims: Claims | None = None,
    guard: Callable[[Detector], Detector] | None = None,
    *,
    on_platform: bool = False,
) -> Pipeline:
    """Return the four stages, ready to run, with the assets of a file and all that gives detections.

    `guard` is asked for what stands before each detector; on a platform, plans name its API and no file of results.
    """
    from infraspectre.axon import Axon
    from infraspectre.cortex import Cortex, load_rules
    from infraspectre.intel.context import Context, ReflexInContext, SomaInContext
    from infraspectre.intel.site import load_site
    from infraspectre.pipeline import Pipeline
    from infraspectre.soma import CATALOGUE, ArpPoisoning, Dga, Signatures, Soma

    detectors = [*(make() for make in CATALOGUE), Dga(domain_model), *chosen_rules(sigma, own_rules)]
    context = Context() if assets is None else Context(*load_site(Path(assets)))
    claimed = [] if claims is None else [ArpPoisoning(claims)]
    matched = [] if alerts is None else [Signatures(alerts)]
    scanned = [] if scan is None else [scan.detector]
    judging = model_detectors(models) if models else []
    looking = [] if intel is None else [intelligence_detector(intel)]
    chosen: list[Detector] = [*detectors, *claimed, *matched, *scanned, *judging, *looking]
    soma = Soma([guard(each) for each in chosen] if guard else chosen)
    cortex = Cortex(assets=context.assets, rules=load_rules([Path(path) for path in correlation]))
    return Pipeline(
        Axon(), SomaInContext(soma, context), cortex, ReflexInContext(judge(settings, on_platform=on_platform), context)
    )


def claims_of(source: FlowSource) -> Claims | None:
    """Return what gives the ARP claims beside flows; logs have none."""
    return source if isinstance(source, CaptureSource) else None


def judge(settings: Settings | None, *, on_platform: bool = False) -> Reflex:
    """Return what decides about incidents, as the settings say."""
    from infraspectre.reflex import Reflex

    return Reflex(settings.reflex if settings else None, on_platform=on_platform)


def broken_playbooks(settings: Settings | None) -> list[InputError]:
    """Return everything that is wrong with own playbooks; those concerned are left out."""
    from infraspectre.reflex.playbooks import read_folder

    folder = settings.reflex.playbooks if settings else ""
    return read_folder(Path(folder)).faults if folder else []


def export_playbook(path: Path, out: Path) -> list[InputError]:
    """Write a playbook of ours as CACAO 2.0, or return everything that is wrong with it."""
    import time

    from infraspectre.adapters.results import json_document
    from infraspectre.records.times import rfc3339
    from infraspectre.reflex import cacao
    from infraspectre.reflex.playbooks import read_file

    playbook, faults = read_file(path)
    if playbook is not None:
        write_whole(out, json_document(cacao.write(playbook, rfc3339(time.time_ns()))))
    return faults


def import_playbook(path: Path, out: Path, families: list[str] | None = None) -> list[InputError]:
    """Write a CACAO 2.0 playbook as one of ours, or return everything that is wrong with it."""
    from infraspectre.reflex import cacao
    from infraspectre.reflex.playbooks import in_yaml

    playbook, faults = cacao.read(path, families)
    if playbook is not None:
        write_whole(out, in_yaml(playbook).encode())
    return faults


def use_attack(path: Path) -> list[Refusal]:
    """Name techniques and tactics as a STIX bundle of ATT&CK does from now on; return what in it cannot be used.

    Raises InputError for a file that is no such bundle.
    """
    from infraspectre.intel.attack import use
    from infraspectre.intel.attack_bundle import read_bundle

    bundle = read_bundle(path)
    use(bundle.table)
    return bundle.refused


def model_detectors(names: Sequence[Source]) -> list[Detector]:
    """Return the detectors of models; raises InputError for one that cannot be read or needs what flows do not have."""
    from infraspectre.modelbook import flow_detector

    return [flow_detector(fspath(name)) for name in dict.fromkeys(names)]


def load_intel(paths: Sequence[Source]) -> Collection:
    """Read indicators and warninglists from files and folders; what cannot be used is in `findings`."""
    from infraspectre.intel.indicators import read_indicators

    return read_indicators([Path(path) for path in paths])


def intelligence_detector(intel: Collection) -> Detector:
    """Return what finds indicators in flows."""
    from infraspectre.soma.intelligence import Intelligence

    return Intelligence(intel.index)


def domain_model() -> Model:
    """Read the built-in model of generated domains."""
    from infraspectre.modelbook import open_model

    return open_model("builtin:dga").model


def chosen_rules(sigma: SigmaRules | None, own_rules: Sequence[Source]) -> Iterator[Detector]:
    """Yield the detectors of Sigma rules and of own rules, if there are any."""
    if sigma is not None:
        if not sigma:
            raise InputError("no Sigma rule can be used", remedy="'infraspectre rules check' says why")
        from infraspectre.soma.sigma import SigmaDetector

        yield SigmaDetector(sigma)
    if own_rules:
        from infraspectre.own_rules import fields
        from infraspectre.soma.rules import OwnRules, load_rules

        yield OwnRules(load_rules([Path(path) for path in own_rules], fields()))


def without_yara(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the paths of rules other than YARA's, and those of YARA rules; a folder may be both."""
    from infraspectre.adapters.rules.files import SUFFIXES
    from infraspectre.adapters.yara import SUFFIXES as YARA_SUFFIXES
    from infraspectre.intel.rule_files import YAML

    yara = [path for path in paths if holds(path, YARA_SUFFIXES)]
    return [path for path in paths if path not in yara or holds(path, (*SUFFIXES, *YAML))], yara


def holds(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Tell whether a file has one of these suffixes, or a folder holds one that has."""
    return any(file.name.endswith(suffixes) for file in (path.rglob("*") if path.is_dir() else [path]))


def test_own_rules(paths: Sequence[Source]) -> RuleTests:
    """Run the tests that stand beside own rules."""
    from infraspectre.own_rules import run_tests

    return run_tests([Path(path) for path in paths], lambda path: flows(path), open_yara)


def open_yara(paths: Sequence[Path]) -> YaraBench:
    """Compile YARA rules to scan files with them."""
    from infraspectre.adapters.yara import YaraScanner, load_yara
    from infraspectre.own_rules import YaraBench
    from infraspectre.records.rules import Refusal

    rules = load_yara(paths)
    refused = [Refusal(each.path, each.line, each.rule, each.reason, None) for each in rules.refused]
    return YaraBench(set(rules.names), refused, YaraScanner(rules).match_file)


class Run:
    """Carries one analysis from its source to its files."""

    def __init__(self, source: FlowSource, pipeline: Pipeline, folder: Path, intel: Collection | None = None) -> None:
        """Prepare to analyze a source into a folder, with the intelligence that the pipeline has."""
        from infraspectre.report import FlowStatistics

        self.source = source
        self.pipeline = pipeline
        self.folder = folder
        self.intel = intel
        self.statistics = FlowStatistics()

    def complete(self, progress: Progress | None, meter: Meter) -> Analysis:
        """Detect and write everything; the summary comes last, so that a folder without one is unfinished."""
        with writing_to(self.folder / "summary.json"):
            (self.folder / "summary.json").unlink(missing_ok=True)
        decisions = self.detect(progress)
        detections = as_told(self.pipeline.detections, decisions)
        summary = self.write(decisions, detections, meter)
        return Analysis(summary, decisions, detections, self.folder)

    def detect(self, progress: Progress | None) -> list[Decision]:
        """Write the flows while detecting; return the decisions, the most threatening first."""
        from infraspectre.adapters.exports import flow_writer

        writer = flow_writer(self.folder / "flows.parquet")
        decisions: list[Decision] = []
        with discarding(writer):
            for flow_batch in reported(self.source, progress):
                writer.write(flow_batch)
                decisions += self.pipeline.process(flow_batch)
                self.statistics.add(flow_batch.frame)
            writer.close()
        found = ranked(decisions + self.pipeline.finish())
        lost = lost_share(self.source.account())
        return [self.pipeline.reflex.doubt(each, lost) for each in found] if lost else found

    def write(self, decisions: list[Decision], detections: list[Detection], meter: Meter) -> Summary:
        """Write the files beside the flows; return the summary."""
        from infraspectre.adapters.results import detection_object, incident_object, json_document, write_lines
        from infraspectre.report import render

        alerts = self.source.alerts()
        write_lines(self.folder / "alerts.jsonl", alerts)
        write_lines(self.folder / "detections.jsonl", map(detection_object, detections))
        write_lines(self.folder / "incidents.jsonl", map(incident_object, decisions))
        summary = self.summarize(len(alerts), len(detections), len(decisions), meter)
        render(summary, decisions, detections, self.statistics, self.folder / "report.html")
        summary = self.summarize(len(alerts), len(detections), len(decisions), meter)
        write_whole(self.folder / "summary.json", json_document(summary))
        return summary

    def summarize(self, alerts: int, detections: int, incidents: int, meter: Meter) -> Summary:
        """Return the account of the run so far."""
        from msgspec.structs import replace

        summary = summarize(self.source.account(), alerts, detections, incidents, meter)
        return summary if self.intel is None else replace(summary, indicators=self.intel.account())


UNREADABLE = 0.5
"""Share of the traffic taken as lost where inputs could be read in part only, since nobody knows how much it was."""


def lost_share(account: Account) -> float:
    """Return the share of the traffic that an analysis did not see."""
    shed = sum(account.shed.values())
    return max(shed / (account.flows + shed) if shed else 0.0, UNREADABLE if account.unreadable else 0.0)


def ranked(decisions: list[Decision]) -> list[Decision]:
    """Return the latest decision about each incident that no other took over, the most threatening first."""
    latest = {decision.incident.incident_id: decision for decision in decisions}
    return sorted(
        (decision for decision in latest.values() if decision.incident.merged_into is None),
        key=lambda one: (-one.threat_score.value, one.incident.first_seen, one.incident.incident_id),
    )


def as_told(detections: list[Detection], decisions: list[Decision]) -> list[Detection]:
    """Return detections as incidents tell them: in an intrusion under way, severities were raised."""
    told = {each.detection_id: each for decision in decisions for each in decision.incident.detections}
    return [told.get(each.detection_id, each) for each in detections]


def account_object(account: Account) -> dict[str, Any]:
    """Return the account of a source as it is published: times as in RFC 3339."""
    from infraspectre.records.times import rfc3339

    def moment(at: int | None) -> str | None:
        return None if at is None else rfc3339(at)

    start, end = moment(account.capture_start), moment(account.capture_end)
    return vars(account) | {"capture_start": start, "capture_end": end}


def summarize(account: Account, alerts: int, detections: int, incidents: int, meter: Meter) -> Summary:
    """Return the account of a run."""
    from infraspectre.records import SCHEMA_VERSION, Summary

    cost = meter.cost()
    return Summary(
        **account_object(account),
        alerts=alerts,
        detections=detections,
        incidents=incidents,
        elapsed_s=cost.elapsed_s,
        cpu_s=cost.cpu_s,
        peak_rss_bytes=cost.peak_rss_bytes,
        version=__version__,
        schema_version=SCHEMA_VERSION,
    )
