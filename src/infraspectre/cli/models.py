"""`infraspectre models`: what there is to do with models besides training and using them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.records.models import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.records.models import Manifest, Version

TOLD_FILES = 8
"""Files of training data that a page lists."""


def list_(*, common: Common = DEFAULT) -> None:
    """List the models that come with the package."""
    from infraspectre import modelbook

    found = dict(modelbook.listed())
    if common.json:
        print_json(found)
    elif not common.quiet:
        print_table(["model", "kind", "classes", "columns", "id"], [row(name, each) for name, each in found.items()])


def row(name: str, manifest: Manifest) -> list[str]:
    """Return a model as cells of a table."""
    return [name, manifest.kind, str(len(manifest.classes)), str(len(manifest.columns)), manifest.content_id[:12]]


def show(model: str, /, *, common: Common = DEFAULT) -> None:
    """Show what a model says of itself: classes, columns, what it was trained on and how it was measured.

    Parameters
    ----------
    model
        Folder of a model, builtin: and the name of one that comes with the package, or registry: and NAME, NAME@STAGE
        or NAME@VERSION of one that is registered.
    """
    from infraspectre import modelbook
    from infraspectre.security import printable

    manifest = modelbook.described(model, common.config)
    if common.json:
        print_json(manifest)
    elif not common.quiet:
        print("\n".join(map(printable, page(manifest))))


def page(manifest: Manifest) -> Iterator[str]:
    """Yield what is known about a model, line by line."""
    yield f"{manifest.name}: {manifest.kind}, {manifest.task}, made {manifest.created_at} with seed {manifest.seed}"
    yield f"id: {manifest.content_id}"
    yield f"signed by: {manifest.signature.public_key if manifest.signature else 'nobody'}"
    yield f"classes: {', '.join(manifest.classes)}"
    yield f"columns: {', '.join(f'{name} ({kind})' for name, kind in manifest.columns.items())}"
    for file in manifest.data[:TOLD_FILES]:
        rows = "" if file.rows is None else f"{file.rows:,} rows, "
        yield f"trained on: {file.name}, {rows}sha256 {file.sha256}"
    if len(manifest.data) > TOLD_FILES:
        yield f"trained on: {len(manifest.data) - TOLD_FILES} further files; --json lists them"
    for name, value in manifest.metrics.items():
        yield f"held out: {name} {value:.6g}"
    for threshold in manifest.thresholds:
        yield f"threshold for {threshold.false_positive_rate:.1%} false positives: {threshold.score:.6g}"
    for warning in manifest.warnings:
        yield f"warning: {warning}"


def verify(model: str, /, *, key: Path | None = None, common: Common = DEFAULT) -> None:
    """Check every file of a model against its digest, and its signature.

    Parameters
    ----------
    model
        Folder of a model, builtin: and the name of one that comes with the package, or registry: and NAME, NAME@STAGE
        or NAME@VERSION of one that is registered.
    key
        Demand a signature by the key in this file (PEM).
    """
    from infraspectre import modelbook

    manifest = modelbook.verified(model, key, common.config)
    signer = manifest.signature.public_key if manifest.signature else None
    if common.json:
        print_json({"content_id": manifest.content_id, "files": len(manifest.files), "signed_by": signer})
    elif not common.quiet:
        note(f"{len(manifest.files)} files are unchanged; signed by {signer or 'nobody'}")


def sign(model: Path, /, *, key: Path | None = None, common: Common = DEFAULT) -> None:
    """Sign a model with an Ed25519 key from a file, else from INFRASPECTRE_MODEL_KEY.

    Parameters
    ----------
    model
        Folder of a model.
    key
        Read the private key from this file (PEM).
    """
    from infraspectre import modelbook

    manifest = modelbook.signed(model, key)
    signer = manifest.signature.public_key if manifest.signature else None
    if common.json:
        print_json({"content_id": manifest.content_id, "signed_by": signer})
    elif not common.quiet:
        note(f"{model} is signed by {signer}")


def key(*, out: Path, common: Common = DEFAULT) -> None:
    """Make a key to sign models with: the private one for its owner's eyes alone, the public one beside it as .pub.

    Parameters
    ----------
    out
        Write the private key to this new file (PEM).
    """
    from infraspectre import modelbook

    public = modelbook.new_key(out)
    if common.json:
        print_json({"private": out, "public": public})
    elif not common.quiet:
        note(f"private key in {out}, public key in {public}")


def build(name: str, /, *, data: Path, out: Path, common: Common = DEFAULT) -> None:
    """Learn one of the built-in models again from public data.

    Parameters
    ----------
    name
        Model to learn: dga, dns-tunnel, http-parameters or flow.
    data
        Folder of the public data, with net and intel in it.
    out
        Write the model into this folder.
    """
    from infraspectre import modelbook
    from infraspectre.cli.train import present

    manifest = modelbook.build(name, data, out, created_at=present())
    if common.json:
        print_json(manifest)
    elif not common.quiet:
        note(f"{name} is written to {out}")


def register(model: Path, /, *, name: str, stage: Stage = "candidate", common: Common = DEFAULT) -> None:
    """Keep a copy of a model in the registry, as the next version of a name.

    Parameters
    ----------
    model
        Folder of a model, all of whose files are checked.
    name
        Name under which its versions are kept.
    stage
        Stage that it comes to; one in production sends the one before to the archive.
    """
    from infraspectre import modelbook
    from infraspectre.cli.train import present

    tell(modelbook.register(model, name, stage, present(), common.config), common)


def promote(name: str, /, *, version: int, stage: Stage = "production", common: Common = DEFAULT) -> None:
    """Move a version of a registered model to a stage.

    Parameters
    ----------
    name
        Name of the model.
    version
        Number of the version, from 1.
    stage
        Stage that it comes to; one in production sends the one before to the archive.
    """
    from infraspectre import modelbook
    from infraspectre.cli.train import present

    tell(modelbook.promote(name, version, stage, present(), common.config), common)


def tell(version: Version, common: Common) -> None:
    """Say at which stage a version is."""
    if common.json:
        print_json(version)
    elif not common.quiet:
        note(f"{version.name}@{version.version} is at {version.stage}: {version.content_id}")


def history(name: str, /, *, common: Common = DEFAULT) -> None:
    """List the versions of a registered model: stages, parents, data and figures.

    Parameters
    ----------
    name
        Name of the model.
    """
    from infraspectre import modelbook

    found = modelbook.history(name, common.config)
    if common.json:
        print_json(found)
    elif not common.quiet:
        header = ["version", "stage", "since", "id", "parent", "data", "area under curve"]
        print_table(header, [list(line(each)) for each in found])


def line(version: Version) -> Iterator[str]:
    """Yield a version as cells of a table; digests are cut."""
    yield from (str(version.version), version.stage, version.moves[-1].at)
    yield from (version.content_id[:12], (version.parent or "")[:12])
    yield ", ".join(f"{file.name} {file.sha256[:12]}" for file in version.data)
    yield f"{version.metrics['area_under_curve']:.4f}" if "area_under_curve" in version.metrics else ""


COMMANDS: dict[str, Function] = {
    "list": list_, "show": show, "verify": verify, "sign": sign, "key": key, "build": build,
    "register": register, "promote": promote, "history": history,
}  # fmt: skip
models = Group("List, show, verify, sign, build and register models, and make keys for that.", COMMANDS)
