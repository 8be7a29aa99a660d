"""Every setting of the product, one section for each part."""

from __future__ import annotations

import msgspec

from infraspectre.capture.settings import FlowSettings


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds every setting, one section for each part."""

    flows: FlowSettings = FlowSettings()
