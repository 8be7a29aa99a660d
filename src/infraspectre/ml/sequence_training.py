"""Training of the model of packet sequences, with JAX; nothing here is needed to judge."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

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
from infraspectre.ml.council import learnt_classes
from infraspectre.ml.detector import Labels, Vector
from infraspectre.ml.sequence import FEATURES, INPUT, PACKETS, Network, Packets, SequenceModel, blocks, encode, lengths_of

Array = Any
"""An array of JAX."""
Progress = Callable[[str, float], None]
"""Is told what was done last, and the share of the work that is done."""

FOLDS = 10
STOPPING, CALIBRATING = (0,), (1, 2)
"""Folds on which it is seen when to stop, and on which thresholds and probabilities are fixed; the others are learnt."""
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
PROFILES = {"small": SMALL, "large": LARGE}


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
        self.embedding = drawn(keys[0], FEATURES, profile.width)
        self.places = 0.1 * jax.random.normal(keys[1], (PACKETS, profile.width))
        self.head, self.head_bias = 0.1 * drawn(keys[2], profile.width, classes), jnp.zeros(classes)
        self.blocks = [Block(profile, each) for each in keys[3:]]
        self.scale, self.shift = jnp.ones(profile.width), jnp.zeros(profile.width)

    def __call__(self, packets: Array) -> Array:
        """Return logits (rows, classes) of packets (rows, packets, FEATURES)."""
        present = jnp.abs(packets[:, :, :1])
        masked = NO_PACKET * (1.0 - present.transpose(0, 2, 1))[:, None]
        stream = packets @ self.embedding + self.places[: packets.shape[1]]
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


def parameters(network: Transformer) -> int:
    """Return the number of weights that are learnt."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))
