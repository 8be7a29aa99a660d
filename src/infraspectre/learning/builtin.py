"""The built-in models of texts, learnt again from public data: `infraspectre models build`.

The data is a folder with `net/` and `intel/`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from infraspectre.learning.benign_texts import HOSTS, PARAMETERS, made_texts
from infraspectre.learning.generated_names import generated_names
from infraspectre.learning.public_names import LISTS, REFERENCES, chosen_names, listed_names, required
from infraspectre.learning.tunnel_names import tunnel_names
from infraspectre.ml.text import Sample, TextModel, TextSettings
from infraspectre.soma.text_models import GeneratedDomains, Parameters, TunnelNames

DOMAINS = "intel/dga/domains_public.jsonl.zst"
PAYLOADS = "net/tabular/http-params/payload_train.csv"
REPORTS = "intel/tram_reports/reports_public.jsonl.zst"
DESCRIPTIONS = "intel/cve/cve_v3_public.jsonl.zst"
WORDS = (DESCRIPTIONS, REPORTS)
"""Texts whose words are taken for common."""
ENDINGS = (
    *["com"] * 20,
    *["net", "org"] * 8,
    *["info", "biz"] * 7,
    *["ru"] * 6,
    *("eu", "cc", "in", "ws", "tk", "top", "xyz", "pw", "su", "me", "co", "cn", "us", "to", "tw", "cx", "name", "mobi"),
    *("nu", "tv", "la", "de", "online", "site", "space", "club", "live", "life"),
    "ddns.net",
)
"""Where made-up families register, roughly as often as surveys find real ones there (Plohmann et al., 2016)."""
WITHOUT_CONTEXT = 0.1
"""Share of texts whose context is left out, so that a label alone can be judged too."""
MADE_UP = "made-up "
"""Begins the names of families that are made up here."""
RELATED = {"new_goz": "zeus", "newgoz": "zeus", "gameover_goz": "zeus", "alexa_chrmor": "alexa"}
"""Families that are versions of one, and parts of one list, by the catalogue of the data: left out together."""
NAMES_OF_FAMILY = 1_500
"""Names taken of one family or source of hostile texts; more of the same teach nothing."""
NAMES_OF_SOURCE = 15_000
"""Names taken of one source of benign texts, drawn from all, so that no source outweighs the others."""


class Text(NamedTuple):
    """A text as its model reads it, the class it belongs to, what it came from, and what stands beside it."""

    text: str
    label: str
    group: str
    context: str = ""


class Recipe(NamedTuple):
    """Says what a built-in model learns from, and how."""

    model: type[TextModel]
    gather: Callable[[Path], list[Text]]
    settings: TextSettings
    classes: tuple[str, ...]
    files: tuple[str, ...]
    known_words: bool = False
    with_context: bool = False


def train(name: str, data: Path) -> TextModel:
    """Learn a built-in model from a folder of data; raise `InputError` where part of it is missing."""
    recipe = RECIPES[name]
    return learn(recipe, recipe.gather(data), english_words(data) if recipe.known_words else ())


def learn(recipe: Recipe, texts: Sequence[Text], known_words: Iterable[str] = ()) -> TextModel:
    """Learn a model from texts, each once; hostile ones at most so many of a group."""
    kept = _kept(texts)
    groups = np.unique([text.group for text in kept], return_inverse=True)[1].astype(np.int64)
    labels = np.array([recipe.classes.index(text.label) for text in kept], np.int32)
    contexts = _contexts(kept, recipe.settings.seed) if recipe.with_context else ()
    sample = Sample([text.text for text in kept], labels, groups, contexts)
    return recipe.model.learn(recipe.classes, sample, recipe.settings, known_words=known_words)


def domains(data: Path) -> list[Text]:
    """Return registered labels of popular and other domains, and of those that algorithms generated."""
    table = pl.read_ndjson(required(data, DOMAINS))
    texts = [
        _domain(name, "dga" if label else "benign", _related(family if label else source))
        for name, label, family, source in table.select("domain", "label", "family", "source").iter_rows()
    ]
    texts += [_domain(name, "benign", source) for source, name in chosen_names(data)]
    return _drawn(texts) + made_up_domains(english_words(data))


def made_up_domains(words: Sequence[str], names: int = 120) -> list[Text]:
    """Return generated names of made-up families, each below one to five endings."""
    draws: dict[str, tuple[random.Random, list[str]]] = {}
    texts = []
    for family, name in generated_names(words, names=names, seed=3):
        if family not in draws:
            draw = random.Random(f"endings {family}")  # noqa: S311 - names to learn from, not secrets
            draws[family] = draw, draw.choices(ENDINGS, k=draw.randint(1, 5))
        draw, endings = draws[family]
        texts.append(_domain(f"{name}.{draw.choice(endings)}", "dga", MADE_UP + family))
    return texts


def queries(data: Path) -> list[Text]:
    """Return parts of host names, and data written as names."""
    words, read = english_words(data), TunnelNames.read
    table = pl.read_ndjson(required(data, DOMAINS)).filter(pl.col("source") == "cisco_top20k")
    listed = [("cisco_top20k", name) for name in table["domain"]] + listed_names(data, ("public-dns-hostname",))
    benign = [*listed, *made_texts(HOSTS, words, count=3_000, seed=5)]
    hostile = tunnel_names(words, count=NAMES_OF_FAMILY, seed=6)
    return [Text(read(name), "benign", group) for group, name in benign] + [
        Text(read(name), "tunnel", group) for group, name in hostile
    ]


def parameters(data: Path) -> list[Text]:
    """Return values of parameters: those of a public data set, and benign ones of shapes it lacks."""
    table = pl.read_csv(required(data, PAYLOADS), columns=["payload", "attack_type"], infer_schema=False)
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
        for line in _lines(required(data, name)):
            seen.update(set(re.findall(r"(?<![\w.\-/\\])[a-z]{3,10}(?![\w\\/\-])", line)))
    return sorted(word for word, count in seen.items() if count >= 8 and not re.fullmatch("[a-f]+", word))


def _related(group: str) -> str:
    return RELATED.get(group, group)


def _domain(name: str, label: str, group: str) -> Text:
    read = GeneratedDomains
    return Text(read.read(name), label, group, read.context(name))


def _drawn(texts: Sequence[Text]) -> list[Text]:
    """Return texts with each label once on a side, and at most NAMES_OF_SOURCE benign ones of a source."""
    draw = random.Random(4)  # noqa: S311 - names to learn from, not secrets
    groups: dict[str, list[Text]] = {}
    for text in {(text.text, text.label): text for text in reversed(texts)}.values():
        groups.setdefault(text.group if text.label == "benign" else "", []).append(text)
    return [
        text
        for group, members in sorted(groups.items())
        for text in (draw.sample(members, NAMES_OF_SOURCE) if group and len(members) > NAMES_OF_SOURCE else members)
    ]


def _contexts(texts: Sequence[Text], seed: int) -> list[str]:
    """Return the contexts of texts, some left out."""
    known = np.random.default_rng(seed).random(len(texts)) >= WITHOUT_CONTEXT
    return [text.context if is_known else "" for text, is_known in zip(texts, known.tolist(), strict=True)]


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


def _lines(path: Path) -> list[str]:
    return [str(row) for row in pl.read_ndjson(path).iter_rows()]


RECIPES = {
    "dga": Recipe(
        GeneratedDomains,
        domains,
        TextSettings(words=12_000, rounds=200, by_source=True),
        ("benign", "dga"),
        (DOMAINS, LISTS, *REFERENCES, *WORDS),
        known_words=True,
        with_context=True,
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
