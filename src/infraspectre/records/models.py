"""What a kept model says of itself: what it is, what it was learnt from, and the digests by which it is known."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT = 1
"""The version of the model directory; a directory of another version is refused."""

ColumnKind = Literal["number", "text", "list"]
"""A list holds numbers: one for each packet, for instance."""
Task = Literal["classify", "anomaly"]


class DataFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names a file that was learnt from or judged, by its content."""

    name: str
    sha256: str
    rows: int | None = None
    """None where it is no table."""


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds the score from which rows are hostile if so many benign ones may be, as fixed before anything is judged."""

    false_positive_rate: float
    score: float


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds an Ed25519 signature (RFC 8032) of the content id, and the public key; both in hexadecimal."""

    public_key: str
    value: str


Stage = Literal["candidate", "staging", "production", "archived"]


class Move(msgspec.Struct, frozen=True):
    """Says when a version came to a stage."""

    stage: Stage
    at: str
    """RFC 3339."""


class Version(msgspec.Struct, frozen=True):
    """Holds what a registry knows of one version of a model; versions of a name count from 1."""

    name: str
    version: int
    content_id: str
    parent: str | None
    """The content id of the version before it."""
    data: list[DataFile]
    metrics: dict[str, float]
    moves: list[Move]
    """The stages it came to, the first one on its registration."""

    @property
    def stage(self) -> Stage:
        """Return the stage it is at."""
        return self.moves[-1].stage


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes a model directory; `content_id` is the digest of all of it but the signature."""

    name: str
    kind: str
    """Which class of models restores it."""
    task: Task
    label: str
    """The column that held the answers; empty if there was none."""
    columns: dict[str, ColumnKind]
    """The columns that it needs."""
    classes: list[str]
    """The classes that it tells apart, the benign one first."""
    created_at: str
    """RFC 3339, as given by whoever made it."""
    seed: int
    data: list[DataFile]
    metrics: dict[str, float] = {}
    """What was measured on rows held out of training."""
    thresholds: list[Threshold] = []
    warnings: list[str] = []
    """What in the data may flatter it."""
    vector_version: int | None = None
    """The version of the feature vector that it was trained on; None for other tables."""
    files: dict[str, str] = {}
    """The SHA-256 digest of each file, by its name in the directory."""
    format: int = FORMAT
    content_id: str = ""
    signature: Signature | None = None
    folds: list[dict[str, float]] = []
    """What was measured on each fold of a cross-validation."""
    settings: dict[str, Any] = {}
    """How its parts learnt, where that is not as usual."""

    def unsigned(self) -> dict[str, Any]:
        """Return what the content id is the digest of; without what is empty and came later, so that old ids hold."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        later = [name for name in ("folds", "settings", "vector_version") if not told[name]]
        return {name: value for name, value in told.items() if name not in ("content_id", "signature", *later)}
