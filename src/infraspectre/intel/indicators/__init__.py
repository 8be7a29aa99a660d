"""Threat intelligence: reads indicators of many forms, ages and merges them, and finds values among them."""

from infraspectre.intel.indicators.index import IndicatorIndex
from infraspectre.intel.indicators.reading import Collection, read_indicators

__all__ = ["Collection", "IndicatorIndex", "read_indicators"]
