"""Training of the model of packet sequences, with JAX; nothing here is needed to judge."""

from __future__ import annotations

import hashlib
import logging
import math
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
import polars as pl
from jax2onnx import to_onnx
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.anomaly.parts import copies, folds
from infraspectre.ml.boosting import class_weights
from infraspectre.ml.calibration import RATE
from infraspectre.ml.council import learnt_classes
from infraspectre.ml.detector import Labels, Progress, State, Vector
from infraspectre.ml.sequence import (
    FEATURES,
    PACKETS,
    Network,
    Packets,
    SequenceModel,
    blocks,
    encode,
    lengths_of,
)

Array = Any
"""An array of JAX."""

FOLDS = 10
STOPPING, CALIBRATING = (0,), (1, 2)
"""Folds that tell when to stop, and folds on which thresholds and probabilities are fixed; the others are learnt."""
CLIPPED = 1.0
"""Longest gradient; longer ones are shortened to it."""
WARM_UP = 0.05
"""Share of the steps over which the learning rate rises from 0."""
NO_PACKET = -1e9
"""Added to the attention on what is no packet: nothing is left of it in single precision."""
EPSILON = 1e-5


class Profile(msgspec.Struct, frozen=True):
    """Says how large a transformer is and how it learns."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 2
    """Width of the inner layer of each block, in widths."""
    epochs: int = 30
    patience: int = 4
    """Epochs without a better result on the rows for stopping after which it stops."""
    rows: int = 128
    """Rows of a step."""
    learning_rate: float = 2e-3
    decay: float = 1e-2
    focus: float = 0.0
    """The exponent of the focal loss (Lin et al., 2017); 0 is plain cross-entropy."""
    balance: float = 0.5
    """A class weighs its share of the rows to the power of minus this."""


SMALL = Profile()
"""For a CPU."""
LARGE = Profile(width=512, layers=8, heads=8, hidden=4, learning_rate=2e-4, rows=512)
"""For a GPU."""
PROFILES = {"sequence": SMALL, "sequence-large": LARGE}
"""By the name that is given to learn with one."""


class Block(eqx.Module):  # type: ignore[misc]
    """A layer of a transformer that normalises before it adds (Vaswani et al., 2017; Xiong et al., 2020)."""

    scale: Array
    shift: Array
    mixed: Array
    mixed_bias: Array
    out: Array
    out_bias: Array
    up: Array
    up_bias: Array
    down: Array
    down_bias: Array
    heads: int = eqx.field(static=True)

    def __init__(self, profile: Profile, key: Array) -> None:
        """Draw the weights of a block."""
        width, inner = profile.width, profile.hidden * profile.width
        keys = jax.random.split(key, 4)
        self.scale, self.shift = jnp.ones((2, width)), jnp.zeros((2, width))
        self.mixed, self.mixed_bias = drawn(keys[0], width, 3 * width), jnp.zeros(3 * width)
        # Each block adds twice to the stream: smaller weights keep the sum of all as large as one.
        self.out, self.out_bias = drawn(keys[1], width, width) / math.sqrt(2 * profile.layers), jnp.zeros(width)
        self.up, self.up_bias = drawn(keys[2], width, inner), jnp.zeros(inner)
        self.down, self.down_bias = drawn(keys[3], inner, width) / math.sqrt(2 * profile.layers), jnp.zeros(width)
        self.heads = profile.heads

    def __call__(self, stream: Array, masked: Array) -> Array:
        """Return the stream (rows, packets, width) with what the block adds; `masked` is added to attention."""
        stream = stream + self._attention(normalised(stream, self.scale[0], self.shift[0]), masked)
        inner = jax.nn.relu(normalised(stream, self.scale[1], self.shift[1]) @ self.up + self.up_bias)
        return stream + inner @ self.down + self.down_bias

    def _attention(self, stream: Array, masked: Array) -> Array:
        rows, packets, width = stream.shape
        each = width // self.heads
        mixed = (stream @ self.mixed + self.mixed_bias).reshape(rows, packets, 3 * self.heads, each)
        mixed = mixed.transpose(0, 2, 1, 3)
        query, key, value = (mixed[:, start : start + self.heads] for start in range(0, 3 * self.heads, self.heads))
        attention = jax.nn.softmax(query @ key.transpose(0, 1, 3, 2) / math.sqrt(each) + masked, axis=-1)
        return (attention @ value).transpose(0, 2, 1, 3).reshape(rows, packets, width) @ self.out + self.out_bias


class Transformer(eqx.Module):  # type: ignore[misc]
    """Packets of rows in, a logit for each class out."""

    embedding: Array
    places: Array
    blocks: list[Block]
    scale: Array
    shift: Array
    head: Array
    head_bias: Array

    def __init__(self, profile: Profile, classes: int, key: Array) -> None:
        """Draw the weights of a transformer."""
        keys = jax.random.split(key, profile.layers + 3)
        self.embedding = drawn(keys[0], FEATURES - 1, profile.width)
        self.places = 0.1 * jax.random.normal(keys[1], (PACKETS, profile.width))
        self.head, self.head_bias = 0.1 * drawn(keys[2], profile.width, classes), jnp.zeros(classes)
        self.blocks = [Block(profile, each) for each in keys[3:]]
        self.scale, self.shift = jnp.ones(profile.width), jnp.zeros(profile.width)

    def __call__(self, packets: Array) -> Array:
        """Return logits (rows, classes) of packets (rows, packets, FEATURES)."""
        present = jnp.abs(packets[:, :, 1:2])
        masked = NO_PACKET * (1.0 - present.transpose(0, 2, 1))[:, None]
        place = (packets[:, :, :1] == jnp.arange(1.0, PACKETS + 1)).astype(jnp.float32)
        stream = packets[:, :, 1:] @ self.embedding + place @ self.places
        for block in self.blocks:
            stream = block(stream, masked)
        pooled = (stream * present).sum(axis=1) / jnp.maximum(present.sum(axis=1), 1.0)
        return normalised(pooled, self.scale, self.shift) @ self.head + self.head_bias


def drawn(key: Array, rows: int, columns: int) -> Array:
    """Return a matrix that keeps the variance of what it is applied to."""
    return jax.random.normal(key, (rows, columns)) / math.sqrt(rows)


def normalised(values: Array, scale: Array, shift: Array) -> Array:
    """Return values with mean 0 and variance 1 along the last axis, scaled and shifted (Ba et al., 2016)."""
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPSILON) * scale + shift


class Lesson(NamedTuple):
    """Holds rows to learn from or to look at: packets, classes, and how much each row weighs."""

    packets: Packets
    labels: Labels
    weights: Vector

    def part(self, rows: NDArray[np.bool_]) -> Lesson:
        """Return some of the rows."""
        return Lesson(self.packets[rows], self.labels[rows], self.weights[rows])

    def batches(self, size: int, random: np.random.Generator) -> list[Lesson]:
        """Return all rows in batches of one size and few lengths, each compiled once; rows that fill up weigh 0."""
        order = random.permutation(len(self.labels))
        found = [
            self._batch(order[rows], length, size) for rows, length in blocks(lengths_of(self.packets[order]), size)
        ]
        return [found[place] for place in random.permutation(len(found))]

    def _batch(self, rows: NDArray[np.int64], length: int, size: int) -> Lesson:
        weights = np.zeros(size)
        weights[: len(rows)] = self.weights[rows]
        rows = np.resize(rows, size)
        return Lesson(self.packets[rows, :length], self.labels[rows], weights)


class Shelf(Protocol):
    """Keeps how far training has come, so that it can go on after it was interrupted."""

    def find(self, name: str) -> State | None:
        """Return what was kept under a name; None if nothing was."""
        ...

    def keep(self, name: str, state: State) -> None:
        """Keep a state under a name in place of the one before."""
        ...


class Course(NamedTuple):
    """Holds how far training has come."""

    network: Transformer
    memory: Any
    """What the optimiser remembers."""
    best: Transformer
    """The network that did best on the rows for stopping."""
    losses: tuple[float, ...]
    """The loss on those rows after each epoch."""

    def ended(self, profile: Profile) -> bool:
        """Tell whether nothing is left to be done, or nothing has helped for long."""
        if not self.losses:
            return False
        return len(self.losses) >= profile.epochs or len(self.losses) - self.best_epoch > profile.patience

    def state(self) -> State:
        """Return all of it."""
        leaves = jax.tree.leaves(eqx.filter(self[:3], eqx.is_array))
        arrays = {str(place): np.asarray(leaf) for place, leaf in enumerate(leaves)}
        return State("course", {"losses": list(self.losses)}, arrays)

    def restored(self, state: State) -> Course:
        """Return the course whose state it is, which began as this one does."""
        changing, fixed = eqx.partition(self[:3], eqx.is_array)
        leaves = [jnp.asarray(state.arrays[str(place)]) for place in range(len(jax.tree.leaves(changing)))]
        network, memory, best = eqx.combine(jax.tree.unflatten(jax.tree.structure(changing), leaves), fixed)
        return Course(network, memory, best, tuple(state.values["losses"]))

    @property
    def best_epoch(self) -> int:
        """Return the number of the epoch that did best, from 1."""
        return 1 + int(np.argmin(self.losses))


def learn(
    frame: pl.DataFrame,
    label: str,
    *,
    profile: Profile = SMALL,
    seed: int = 0,
    progress: Progress | None = None,
    shelf: Shelf | None = None,
    rate: float = RATE,
) -> SequenceModel:
    """Learn from a table with lists of packets whose column `label` names the class of each row.

    Equal rows are all learnt, all for stopping, or all for thresholds. The same seed gives the same model on the same
    machine and version of JAX, and so does going on with what a shelf holds of a training that was interrupted. `rate`
    is the share of benign rows that may be called hostile. Raises `InputError` where the table cannot be learnt from.
    """
    names, labels = learnt_classes(frame, label)
    packets = encode(frame)
    fold_of = folds(copies(packets.reshape(len(packets), -1)), FOLDS, seed)
    apart = {part: np.isin(fold_of, part) for part in (STOPPING, CALIBRATING)}
    learnt = ~(apart[STOPPING] | apart[CALIBRATING])
    for rows in (learnt, *apart.values()):
        _require_both(labels[rows], label)
    lesson = Lesson(packets, labels, class_weights(labels, profile.balance))
    network = train(lesson.part(learnt), lesson.part(apart[STOPPING]), len(names), profile, seed, progress, shelf)
    held = apart[CALIBRATING]
    return SequenceModel.calibrated(
        names, Network(exported(network), len(names)), packets[held], labels[held] > 0, rate
    )


def _require_both(labels: Labels, label: str) -> None:
    if not 0 < (labels > 0).sum() < len(labels):
        kind = "benign" if (labels > 0).any() else "hostile"
        problem = f"there are too few different {kind} rows to hold some of them out"
        raise InputError(problem, field=label, remedy="give more rows: equal ones count once")


def train(
    learnt: Lesson,
    seen: Lesson,
    classes: int,
    profile: Profile,
    seed: int,
    progress: Progress | None = None,
    shelf: Shelf | None = None,
) -> Transformer:
    """Return the network that did best on rows that it did not learn from."""
    tell = progress or (lambda _what, _share: None)
    steps = len(learnt.batches(profile.rows, np.random.default_rng(seed)))
    network = Transformer(profile, classes, jax.random.key(seed))
    course = Course(network, optimiser_of(profile, steps).init(eqx.filter(network, eqx.is_array)), network, ())
    name = digest(learnt, seen, profile, seed)
    kept = shelf.find(name) if shelf else None
    if kept is not None:
        course = course.restored(kept)
    advance, measure = _compiled(profile, steps)
    while not course.ended(profile):
        random = np.random.default_rng([seed, len(course.losses)])
        network, memory, _, losses = course
        for batch in learnt.batches(profile.rows, random):
            network, memory = advance(network, memory, *batch)
        found = [measure(network, *batch) for batch in seen.batches(profile.rows, np.random.default_rng(seed))]
        loss = float(sum(found)) / float(seen.weights.sum())
        best = network if not losses or loss < min(losses) else course.best
        course = Course(network, memory, best, (*losses, loss))
        if shelf:
            shelf.keep(name, course.state())
        epoch = len(course.losses)
        tell(f"epoch {epoch}: loss {loss:.4f} on rows held out", epoch / profile.epochs)
    tell(f"epoch {course.best_epoch} did best", 1.0)
    return course.best


def digest(learnt: Lesson, seen: Lesson, profile: Profile, seed: int) -> str:
    """Return a name for a training: only the same rows, profile and seed have the same."""
    found = hashlib.sha256(msgspec.json.encode((profile, seed)))
    for part in (*learnt, *seen):
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def optimiser_of(profile: Profile, steps: int) -> Any:
    """Return Adam with decoupled decay (Loshchilov and Hutter, 2019); its rate rises, then falls as half a cosine."""
    total = profile.epochs * steps
    speed = optax.warmup_cosine_decay_schedule(0.0, profile.learning_rate, max(1, int(WARM_UP * total)), total)
    return optax.chain(optax.clip_by_global_norm(CLIPPED), optax.adamw(speed, weight_decay=profile.decay))


@lru_cache(maxsize=2)
def _compiled(profile: Profile, steps: int) -> tuple[Any, Any]:
    """Return what changes a network by a batch, and what sums the loss over one."""
    optimiser = optimiser_of(profile, steps)

    def total(network: Transformer, packets: Array, labels: Array, weights: Array) -> Array:
        chosen = jnp.take_along_axis(jax.nn.log_softmax(network(packets)), labels[:, None], axis=1)[:, 0]
        return -(weights * (1.0 - jnp.exp(chosen)) ** profile.focus * chosen).sum()

    @eqx.filter_jit  # type: ignore[untyped-decorator]
    def advance(network: Transformer, memory: Any, packets: Array, labels: Array, weights: Array) -> Any:
        mean = lambda each: total(each, packets, labels, weights) / weights.sum()  # noqa: E731
        updates, memory = optimiser.update(eqx.filter_grad(mean)(network), memory, network)
        return eqx.apply_updates(network, updates), memory

    return advance, eqx.filter_jit(total)


def exported(network: Transformer) -> bytes:
    """Return a network as ONNX that takes any number of rows, and of packets up to PACKETS."""
    # It warns of shapes that it does not write, which nothing needs.
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)
    graph = to_onnx(network, inputs=[("rows", "packets", FEATURES)], model_name="sequence")
    return bytes(graph.SerializeToString())
