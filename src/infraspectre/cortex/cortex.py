"""Correlation: detections that share an entity within a window become one incident.

A detection joins a story if one of its two ends takes part in it and the two overlap in time, give or take the joining
window. So a chain is followed: the victim of one step becomes the actor of the next. Three rules keep stories apart.
An entity linked with more than `widest_fan` others by one family of findings joins nothing (a shared resolver, a swept
subnet). A weak detection joins by its actor alone, and never makes two stories one. Windows are short for activities
that are over in minutes, and long for those that pause, see `infraspectre.intel.families`.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from infraspectre.cortex.links import Fan, Fans
from infraspectre.cortex.story import SECOND_NS, Story, begins, ends
from infraspectre.intel.assets import Assets
from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident

CROWDED = frozenset({"flood"})
"""Families in which many unrelated sources against one target are one story."""
RELAYED = frozenset({"tunnel"})
"""Families whose target only passes on what it gets, as a resolver does, and says nothing about who is behind."""
WEAK = frozenset({"informational", "low"})


class CortexSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how far apart detections may be and how much is remembered."""

    window_s: float = 300.0
    """How long a story waits for more."""
    slow_window_s: float = 3600.0
    """The same after activity that pauses: a beacon may sleep for an hour, a tunnel or a theft goes in portions."""
    lateness_s: float = 3600.0
    """How much later than the last activity a detector of slow behaviour may report."""
    widest_fan: int = 64
    """Beyond so many others a link between two entities says nothing about them."""
    most_detections: int = 256
    """Findings kept for one incident; the rest is counted."""
    most_entities: int = 1024
    """Entities of one incident by which others may join; a larger story grows by its actors alone."""
    most_stories: int = 4096
    """Stories alive at a time; beyond, the one idle for longest is closed."""
    most_fans: int = 65_536
    """Entities whose degree is remembered, counted for each family and side."""
    most_campaigns: int = 65_536
    """Actors remembered after their incident is closed."""


class Cortex:
    """Joins detections into incidents while they come in, in event time and bounded memory."""

    def __init__(self, settings: CortexSettings | None = None, assets: Assets | None = None) -> None:
        """Begin without stories."""
        self.settings = settings or CortexSettings()
        self._assets = assets or Assets()
        self._stories: dict[int, Story] = {}
        self._found_by: dict[str, set[int]] = {}
        self._fans = Fans(
            self.settings.widest_fan, self.settings.most_fans, int(self.settings.slow_window_s * SECOND_NS)
        )
        self._campaigns: OrderedDict[str, str] = OrderedDict()
        self._next = 0

    def correlate(self, detections: list[Detection]) -> list[Incident]:
        """Take in a batch of detections and return the incidents that are over."""
        for detection in sorted(detections, key=lambda each: (each.at, each.detection_id)):
            self._take(detection)
        now = max((each.at for each in detections), default=0)
        over = [key for key, story in self._stories.items() if self._is_over(story, now)]
        crowd = len(self._stories) - len(over) - self.settings.most_stories
        return self._close(over + (self._idlest(crowd, set(over)) if crowd > 0 else []))

    def finish(self) -> list[Incident]:
        """Return the incidents still alive, and forget them."""
        return self._close(list(self._stories))

    def _take(self, detection: Detection) -> None:
        joined = self._matching(detection)
        if not joined:
            self._stories[self._next] = Story(detection, self.settings.most_detections, self.settings.most_entities)
            joined, self._next = [self._next], self._next + 1
        key = joined[0]
        for other in joined[1:]:
            if self._stories[key].has_room_for(self._stories[other]):
                self._merge(key, other)
        self._stories[key].add(detection, self._window_ns(detection))
        self._link(key, detection)

    def _matching(self, detection: Detection) -> list[int]:
        """Find the stories a detection belongs to, oldest first; a weak detection belongs to one at most."""
        found: set[int] = set()
        for entity in self._ways(detection):
            keys = self._found_by.get(entity, ())
            found.update(key for key in keys if self._overlaps(key, detection) and self._takes_part(key, entity))
        return sorted(found)[: 1 if detection.severity in WEAK else None]

    def _ways(self, detection: Detection) -> list[str]:
        """List the ends of a detection by which it may join: its actor, and its target unless many act upon that."""
        orig, resp = detection.orig, detection.resp
        if orig and (detection.severity in WEAK or not resp or self._is_broad(_fan("resp", resp, detection))):
            return [orig]
        return [entity for entity in (orig, resp) if entity]

    def _overlaps(self, key: int, detection: Detection) -> bool:
        """Tell whether a story is not over, and the pause between it and the detection is within a window of either."""
        story, window = self._stories[key], self._window_ns(detection)
        if self._is_over(story, detection.at):
            return False
        latest = max(story.open_until, story.last_seen + window)
        return begins(detection) <= latest and ends(detection) >= story.first_seen - window

    def _is_over(self, story: Story, now: int) -> bool:
        return story.open_until + int(self.settings.lateness_s * SECOND_NS) < now

    def _takes_part(self, key: int, entity: str) -> bool:
        """Tell whether an entity acts in a story, or is the target of something narrow."""
        story = self._stories[key]
        return entity in story.actors or any(
            not self._is_broad(fan) and not self._is_broad(("resp", entity, fan[2]))
            for fan in story.targets.get(entity, ())
        )

    def _link(self, key: int, detection: Detection) -> None:
        """Make a story findable by both ends of a detection, and count their degrees."""
        orig, resp = detection.orig, detection.resp
        if orig:
            self._index(orig, key)
        if resp:
            self._link_target(key, detection, resp)

    def _link_target(self, key: int, detection: Detection, target: str) -> None:
        by_actor, by_target = _fan("orig", detection.orig or "", detection), _fan("resp", target, detection)
        if not self._is_broad(by_actor):
            joins = detection.severity not in WEAK and not self._is_broad(by_target)
            self._stories[key].add_target(target, by_actor if joins else None)
            self._index(target, key)
        self._fans.add(by_actor, target, detection.at)
        self._fans.add(by_target, detection.orig or "", detection.at)

    def _index(self, entity: str, key: int) -> None:
        if self._stories[key].is_joined_by(entity):
            self._found_by.setdefault(entity, set()).add(key)

    def _is_broad(self, fan: Fan) -> bool:
        """Tell whether a fan links nothing: by its degree, or by the nature of its family."""
        side, _, name = fan
        if side == "resp" and name in CROWDED | RELAYED:
            return name in RELAYED
        return self._fans.is_broad(fan)

    def _merge(self, key: int, other: int) -> None:
        story = self._forget(other)
        self._stories[key].absorb(story)
        for entity in story.entities:
            self._index(entity, key)

    def _forget(self, key: int) -> Story:
        story = self._stories.pop(key)
        for entity in story.entities:
            keys = self._found_by.get(entity, set())
            keys.discard(key)
            if not keys:
                self._found_by.pop(entity, None)
        return story

    def _idlest(self, count: int, but: set[int]) -> list[int]:
        alive = [key for key in self._stories if key not in but]
        return sorted(alive, key=lambda key: (self._stories[key].last_seen, key))[:count]

    def _close(self, keys: list[int]) -> list[Incident]:
        incidents = [self._forget(key).incident(self._assets) for key in keys]
        incidents.sort(key=lambda each: (each.first_seen, each.incident_id))
        return self._in_campaigns(incidents)

    def _in_campaigns(self, incidents: list[Incident]) -> list[Incident]:
        """Name the campaign of incidents that share an actor: it bears the identity of the first of them."""
        first_of = [self._first_of_campaign(incident) for incident in incidents]
        goes_on = {first for each, first in zip(incidents, first_of, strict=True) if self._goes_on(each, first)}
        return [
            msgspec.structs.replace(incident, campaign_id=first) if first in goes_on else incident
            for incident, first in zip(incidents, first_of, strict=True)
        ]

    def _goes_on(self, incident: Incident, first: str) -> bool:
        """Tell whether an incident is not the first of its actors, or will not be their last."""
        alive = (key for actor in _culprits(incident) for key in self._found_by.get(actor, ()))
        return first != incident.incident_id or any(
            self._stories[key].actors.keys() & _culprits(incident) for key in alive
        )

    def _first_of_campaign(self, incident: Incident) -> str:
        actors = sorted(_culprits(incident))
        known = [self._campaigns[actor] for actor in actors if actor in self._campaigns]
        first = known[0] if known else incident.incident_id
        for actor in actors:
            self._campaigns[actor] = first
            self._campaigns.move_to_end(actor)
        while len(self._campaigns) > self.settings.most_campaigns:
            self._campaigns.popitem(last=False)
        return first

    def _window_ns(self, detection: Detection) -> int:
        window_s = self.settings.slow_window_s if family(detection.category).slow else self.settings.window_s
        return int(window_s * SECOND_NS)


def _culprits(incident: Incident) -> set[str]:
    """Return who acted in more than a weak detection."""
    return {each.orig for each in incident.detections if each.orig and each.severity not in WEAK}


def _fan(side: str, entity: str, detection: Detection) -> Fan:
    return (side, entity, family(detection.category).name)
