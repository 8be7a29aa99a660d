"""Recipes of the built-in models: made-up texts are the same again, and missing data is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.errors import InputError
from infraspectre.learning.benign_texts import HOSTS, PARAMETERS, made_texts
from infraspectre.learning.builtin import MADE_UP, RECIPES, Text, learn, made_up_domains, parameters, train
from infraspectre.learning.generated_names import SHAPES, generated_names
from infraspectre.learning.public_names import HIDDEN, SOURCES, chosen_names
from infraspectre.learning.tunnel_names import ENCODINGS, tunnel_names
from infraspectre.ml.text import TextSettings

WORDS = ["river", "stone", "market", "green", "paper", "cloud", "night", "silver", "forest", "window"] * 3


def test_made_up_families_are_the_same_again() -> None:
    made = generated_names(WORDS, names=10, seed=1)
    assert made == generated_names(WORDS, names=10, seed=1)
    assert len({family for family, _ in made}) == sum(families for _, families in SHAPES.values())
    assert all(0 < len(name) <= 63 for _, name in made)
    assert made != generated_names(WORDS, names=10, seed=2)


def test_tunnel_names_fit_into_dns() -> None:
    made = tunnel_names(WORDS, count=20, seed=1)
    assert {encoding for encoding, _ in made} == set(ENCODINGS)
    assert all(0 < len(label) <= 63 for _, name in made for label in name.split("."))


@pytest.mark.parametrize("makers", [HOSTS, PARAMETERS])
def test_benign_texts_are_the_same_again(makers: tuple) -> None:  # type: ignore[type-arg]
    assert made_texts(makers, WORDS, count=20, seed=1) == made_texts(makers, WORDS, count=20, seed=1)


def test_a_recipe_learns_the_same_in_any_order_of_lists() -> None:
    texts = [Text(name, "benign", "list") for name in {f"{a}{b}" for a in WORDS for b in WORDS}]
    texts += [Text(name, "dga", family) for family, name in generated_names(WORDS, names=20, seed=1)]
    recipe = RECIPES["dga"]._replace(settings=TextSettings(folds=2, rounds=5, table_bits=10))
    once, twice = learn(recipe, sorted(texts)), learn(recipe, sorted(texts))
    assert once.state().arrays["trees"].tolist() == twice.state().arrays["trees"].tolist()


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"payload_train\.csv: this file is missing"):
        train("http-parameters", tmp_path)


def test_parameters_of_the_public_data_are_read(data: Path) -> None:
    assert {text.label for text in parameters(data)} == {"benign", "sqli", "xss", "cmdi", "path-traversal"}


def test_made_up_families_register_below_few_endings() -> None:
    texts = made_up_domains(WORDS, names=30)
    assert texts == made_up_domains(WORDS, names=30)
    endings: dict[str, set[str]] = {}
    for text in texts:
        assert text.group.startswith(MADE_UP)
        endings.setdefault(text.group, set()).add(text.context)
    assert all(1 <= len(each) <= 5 and "" not in each for each in endings.values())


def test_chosen_names_come_from_many_sources(data: Path) -> None:
    pairs = list(chosen_names(data))
    assert {source for source, _ in pairs} == {*SOURCES, "small lists", "references", "resolvers"}
    assert not any(name.endswith(HIDDEN) for source, name in pairs if source == "references")


def test_lists_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"warninglists\.tar\.zst: this file is missing"):
        list(chosen_names(tmp_path))
