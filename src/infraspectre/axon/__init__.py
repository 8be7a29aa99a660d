"""Axon: puts each flow into the context of its hosts, its recent past and its site."""

from infraspectre.axon.axon import Axon, AxonState
from infraspectre.axon.features import FEATURES, Feature, FeatureBatch

__all__ = ["FEATURES", "Axon", "AxonState", "Feature", "FeatureBatch"]
