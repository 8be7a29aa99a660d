"""What the frame gives to routes: they name it as the type of a parameter of this name."""

from __future__ import annotations

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import FromPath

from infraspectre.api.access.door import Door
from infraspectre.api.directories import Directories
from infraspectre.api.heavy import HeavyPool
from infraspectre.api.pages import Question
from infraspectre.records.access import Principal
from infraspectre.serving.health import Matrix
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.platform import Platform

GivenPlatform: TypeAlias = NamedDependency[Platform]
"""`platform`: what the answer is made from."""
GivenPrincipal: TypeAlias = NamedDependency[Principal]
"""`principal`: on whose behalf; its tenant is the only one."""
GivenDoor: TypeAlias = NamedDependency[Door]
"""`door`: what lets people and programs in."""
GivenDirectories: TypeAlias = NamedDependency[Directories]
"""`directories`: the hosts of each tenant."""
GivenHealth: TypeAlias = NamedDependency[Matrix]
"""`health`: how what the platform depends on is."""
GivenMetrics: TypeAlias = NamedDependency[Metrics]
"""`metrics`: what is counted and measured."""
GivenHeavy: TypeAlias = NamedDependency[HeavyPool]
"""`heavy`: where long work is done."""
GivenQuestion: TypeAlias = NamedDependency[Question]
"""`question`: what a list was asked for; the route says `dependencies={"question": asked(...)}`."""
GivenRevision: TypeAlias = NamedDependency[int]
"""`expected`: the revision that If-Match names; a request without is refused."""
InPath: TypeAlias = FromPath[str]
"""A part of the path."""
