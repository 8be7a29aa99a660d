"""The built-in models of texts, learnt again from public data: `infraspectre models build`.

The data is a folder with `net/` and `intel/`; reading archives needs pyarrow, a development dependency.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.benign_texts import HOSTS, PARAMETERS, made_texts
from infraspectre.learning.generated_names import generated_names
from infraspectre.learning.tunnel_names import tunnel_names
from infraspectre.ml.text import Sample, TextModel, TextSettings
from infraspectre.soma.text_models import GeneratedDomains, Parameters, TunnelNames, registered_label

DOMAINS = "intel/dga/domains_public.jsonl.zst"
LISTS = "intel/misp/warninglists.tar.zst"
PAYLOADS = "net/tabular/http-params/payload_train.csv"
REPORTS = "intel/tram_reports/reports_public.jsonl.zst"
DESCRIPTIONS = "intel/cve/cve_v3_public.jsonl.zst"
WORDS = (DESCRIPTIONS, REPORTS)
"""Texts whose words are taken for common."""
HUMAN_LISTS = ("university_domains", "bank-website", "public-dns-hostname", "dynamic-dns", "second-level-tlds")
"""Lists of names that people chose and that are no lists of popular sites."""
RELATED = {"new_goz": "zeus", "newgoz": "zeus", "gameover_goz": "zeus"}
"""Families that are versions of one, by the catalogue of the data: they are left out together."""
NAMES_OF_FAMILY = 1_500
"""Names taken of one family or source of hostile texts; more of the same teach nothing."""


class Text(NamedTuple):
    """A text as its model reads it, the class it belongs to, and what it came from."""

    text: str
    label: str
    group: str


class Recipe(NamedTuple):
    """Says what a built-in model learns from, and how."""

    model: type[TextModel]
    gather: Callable[[Path], list[Text]]
    settings: TextSettings
    classes: tuple[str, ...]
    files: tuple[str, ...]
    known_words: bool = False


def train(name: str, data: Path) -> TextModel:
    """Learn a built-in model from a folder of data; raise `InputError` where part of it is missing."""
    recipe = RECIPES[name]
    return learn(recipe, recipe.gather(data), english_words(data) if recipe.known_words else ())


def learn(recipe: Recipe, texts: Sequence[Text], known_words: Iterable[str] = ()) -> TextModel:
    """Learn a model from texts, each once; hostile ones at most so many of a group."""
    kept = _kept(texts)
    groups = np.unique([text.group for text in kept], return_inverse=True)[1].astype(np.int64)
    labels = np.array([recipe.classes.index(text.label) for text in kept], np.int32)
    sample = Sample([text.text for text in kept], labels, groups)
    return recipe.model.learn(recipe.classes, sample, recipe.settings, known_words=known_words)


def domains(data: Path) -> list[Text]:
    """Return registered labels of popular and other domains, and of those that algorithms generated."""
    table = pl.read_ndjson(_file(data, DOMAINS))
    texts = [
        Text(registered_label(domain), "dga" if label else "benign", RELATED.get(family, family) if label else source)
        for domain, label, family, source in table.select("domain", "label", "family", "source").iter_rows()
    ]
    texts += [Text(registered_label(name), "benign", group) for group, name in _listed(data, HUMAN_LISTS)]
    made = generated_names(english_words(data), names=120, seed=3)
    return [*texts, *(Text(name, "dga", f"made-up {group}") for group, name in made)]


def queries(data: Path) -> list[Text]:
    """Return parts of host names, and data written as names."""
    words, read = english_words(data), TunnelNames.read
    table = pl.read_ndjson(_file(data, DOMAINS)).filter(pl.col("source") == "cisco_top20k")
    listed = [("cisco_top20k", name) for name in table["domain"]] + _listed(data, ("public-dns-hostname",))
    benign = [*listed, *made_texts(HOSTS, words, count=3_000, seed=5)]
    hostile = tunnel_names(words, count=NAMES_OF_FAMILY, seed=6)
    return [Text(read(name), "benign", group) for group, name in benign] + [
        Text(read(name), "tunnel", group) for group, name in hostile
    ]


def parameters(data: Path) -> list[Text]:
    """Return values of parameters: those of a public data set, and benign ones of shapes it lacks."""
    table = pl.read_csv(_file(data, PAYLOADS), columns=["payload", "attack_type"], infer_schema=False)
    read = Parameters.read
    texts = [
        Text(read(payload or ""), "benign" if kind == "norm" else kind, f"{kind} {_template(payload or '')}")
        for payload, kind in table.iter_rows()
    ]
    made = made_texts(PARAMETERS, english_words(data), count=2_000, seed=8)
    return [*texts, *(Text(read(text), "benign", group) for group, text in made)]


def english_words(data: Path) -> list[str]:
    """Return common words of 3 to 10 letters, in alphabetical order, from reports and descriptions of weaknesses."""
    seen: Counter[str] = Counter()
    for name in WORDS:
        for line in _lines(_file(data, name)):
            seen.update(set(re.findall(r"(?<![\w.\-/\\])[a-z]{3,10}(?![\w\\/\-])", line)))
    return sorted(word for word, count in seen.items() if count >= 8 and not re.fullmatch("[a-f]+", word))


def _kept(texts: Sequence[Text]) -> list[Text]:
    """Return each text once, in an order that does not depend on that of the input."""
    sizes: Counter[str] = Counter()
    kept = []
    for text in dict.fromkeys(texts):
        key = f"{text.label} {text.group}"
        if text.text and (text.label == "benign" or sizes[key] < NAMES_OF_FAMILY):
            sizes[key] += 1
            kept.append(text)
    return list({(text.text, text.label): text for text in kept}.values())


def _template(payload: str) -> str:
    """Return a payload without its numbers and words, as payloads of one template differ in these alone."""
    return re.sub(r"[a-z]+", "a", re.sub(r"[0-9]+", "0", payload.lower()))[:60]


def _listed(data: Path, lists: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of a list and a name of the lists of MISP's warning lists."""
    import pyarrow as pa

    with pa.CompressedInputStream(pa.OSFile(str(_file(data, LISTS))), "zstd") as stream:
        content = io.BytesIO(stream.read())
    with tarfile.open(fileobj=content) as archive:
        return [(name, text) for name in lists for text in _list(archive, name, data / LISTS)]


def _list(archive: tarfile.TarFile, name: str, path: Path) -> list[str]:
    member = next((member for member in archive if f"/{name}/list.json" in member.name), None)
    content = None if member is None else archive.extractfile(member)
    if content is None:
        raise InputError(f"the archive has no list {name}", path=path, remedy="fetch the whole archive")
    return [text.strip(".") for text in json.load(content)["list"]]


def _lines(path: Path) -> list[str]:
    return [str(row) for row in pl.read_ndjson(path).iter_rows()]


def _file(data: Path, name: str) -> Path:
    path = data / name
    if not path.is_file():
        raise InputError("this file is missing", path=path, remedy="give the folder of test data as --data")
    return path


RECIPES = {
    "dga": Recipe(
        GeneratedDomains,
        domains,
        TextSettings(words=12_000, rounds=300),
        ("benign", "dga"),
        (DOMAINS, LISTS, *WORDS),
        known_words=True,
    ),
    "dns-tunnel": Recipe(
        TunnelNames, queries, TextSettings(rounds=120, depth=4), ("benign", "tunnel"), (DOMAINS, LISTS, *WORDS)
    ),
    "http-parameters": Recipe(
        Parameters,
        parameters,
        TextSettings(rounds=80, depth=4),
        ("benign", "sqli", "xss", "path-traversal", "cmdi"),
        (PAYLOADS, *WORDS),
    ),
}
