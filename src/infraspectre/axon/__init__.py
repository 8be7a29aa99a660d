"""Axon: puts each flow into the context of its hosts, its recent past and its site, and makes its feature vector."""

from infraspectre.axon.axon import Axon, AxonState
from infraspectre.axon.features import FEATURES, Feature, FeatureBatch
from infraspectre.axon.intelligence import DomainFacts, HostFacts, Intelligence
from infraspectre.axon.schema import VECTOR, FeatureSchema, VectorFeature
from infraspectre.axon.vector import Vectors, VectorState, agreement

__all__ = [
    "FEATURES",
    "VECTOR",
    "Axon",
    "AxonState",
    "DomainFacts",
    "Feature",
    "FeatureBatch",
    "FeatureSchema",
    "HostFacts",
    "Intelligence",
    "VectorFeature",
    "VectorState",
    "Vectors",
    "agreement",
]
