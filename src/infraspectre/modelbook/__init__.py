"""The composition root of models: tables and model directories in; models, judgements and report cards out."""

from infraspectre.modelbook.building import build
from infraspectre.modelbook.cards import ModelCard, keep_card, kept_card
from infraspectre.modelbook.evaluating import evaluate
from infraspectre.modelbook.flows import flow_detector
from infraspectre.modelbook.judging import predict
from infraspectre.modelbook.keeping import (
    described,
    history,
    listed,
    new_key,
    promote,
    register,
    registered,
    signed,
    verified,
)
from infraspectre.modelbook.looking import Importance, drift_of, importance
from infraspectre.modelbook.opening import BUILTIN, OpenModel, builtin_names, open_model
from infraspectre.modelbook.training import train

__all__ = [
    "BUILTIN",
    "Importance",
    "ModelCard",
    "OpenModel",
    "build",
    "builtin_names",
    "described",
    "drift_of",
    "evaluate",
    "flow_detector",
    "history",
    "importance",
    "keep_card",
    "kept_card",
    "listed",
    "new_key",
    "open_model",
    "predict",
    "promote",
    "register",
    "registered",
    "signed",
    "train",
    "verified",
]
