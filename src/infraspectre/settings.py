"""Every setting of the product, one section for each part."""

from __future__ import annotations

import msgspec

from infraspectre.capture.settings import FlowSettings
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.reflex.score import ReflexSettings


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says where models are kept."""

    registry: str = ""
    """Folder of the registry of models, or mlflow: and a tracking address; empty for the usual folder."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds every setting, one section for each part."""

    flows: FlowSettings = FlowSettings()
    models: ModelSettings = ModelSettings()
    reflex: ReflexSettings = ReflexSettings()
    response: ResponseSettings = ResponseSettings()
