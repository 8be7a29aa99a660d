"""The demonstration: a platform beside which somebody plays a simulated office, and an analyst who judges incidents."""

from infraspectre.serving.demo.playing import ANALYST, analyst_password, demo_settings, keep_models_apart, play

__all__ = ["ANALYST", "analyst_password", "demo_settings", "keep_models_apart", "play"]
