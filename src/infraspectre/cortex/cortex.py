"""Correlation: detections that tell one story become one incident, and incidents of one intruder one campaign.

Rules say what is joined (`infraspectre.cortex.rules`), and a graph of who had lately to do with what finds it
(`infraspectre.cortex.graph`). A weak detection joins one story at most and never makes two stories one. A story is
told as soon as it says something new, and again when it has grown and is over; the latest telling counts. Stories are
remembered after that, so that a detector may report late, and campaigns may go on for days.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec

from infraspectre.cortex.campaigns import Campaign, Campaigns
from infraspectre.cortex.graph import MEDIUM, Graph, Mention, Node, is_weak
from infraspectre.cortex.links import Fan, Fans
from infraspectre.cortex.matching import Match, Matcher
from infraspectre.cortex.rules import Rule, Rules, load_rules
from infraspectre.cortex.story import Bounds, Story
from infraspectre.intel.assets import Assets
from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident, Join
from infraspectre.records.times import NANOSECONDS

BY_HOST = frozenset({"actor", "victim-then-actor"})
"""Ways in which one incident could grow from host to host."""
LOOKS_NS = 60 * NANOSECONDS
"""How often in event time it is looked for stories that are over."""
STATE_VERSION = 1


class CortexSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how long stories wait and how much is remembered; the windows of joins stand in the rules."""

    window_s: float = 300.0
    """How long a story waits for more before it is told in full."""
    slow_window_s: float = 3600.0
    """The same after activity that pauses: a beacon may sleep for an hour, a tunnel or a theft goes in portions."""
    widest_fan: int = 64
    """Beyond so many others a link between two hosts says nothing about them."""
    widest_tie: int = 16
    """A host that acts in more incidents, as a gateway may, or an incident with more actors ties nothing together."""
    most_chained: int = 8
    """Actors of one incident that grows from host to host; further ones have incidents of their own in its campaign."""
    most_detections: int = 256
    """Findings kept for one incident; the rest is counted."""
    most_nodes_of_story: int = 1024
    """Nodes at which one story is found."""
    most_stories: int = 4096
    """Stories remembered; beyond, that idle for longest is told and forgotten."""
    most_kept: int = 65_536
    """Findings kept for all stories together."""
    most_nodes: int = 65_536
    """Nodes of the graph."""
    most_mentions: int = 32
    """Stories remembered at one node, the most telling."""
    most_fans: int = 65_536
    """Hosts whose degree is remembered, counted for each family and side."""


class CortexState(msgspec.Struct, frozen=True):
    """Is everything that a cortex remembers, as plain data."""

    version: int
    next: int
    changed: list[int]
    stories: list[Story]
    campaigns: dict[int, Campaign]
    nodes: list[tuple[Node, list[Mention]]]
    fans: list[tuple[Fan, int, list[str]]]


class Cortex:
    """Joins detections into incidents and campaigns while they come in, in event time and bounded memory."""

    def __init__(
        self, settings: CortexSettings | None = None, assets: Assets | None = None, rules: Rules | None = None
    ) -> None:
        """Begin without stories, with the rules of the package if no others are given."""
        self.settings = chosen = settings or CortexSettings()
        self.rules = rules or load_rules()
        self.dropped = {"stories": 0}
        self._assets = assets or Assets()
        self._bounds = Bounds(chosen.most_detections, chosen.most_nodes_of_story, chosen.widest_tie + 1)
        fans = Fans(chosen.widest_fan, chosen.most_fans, int(chosen.slow_window_s * NANOSECONDS))
        self._graph = Graph(fans, chosen.most_nodes, chosen.most_mentions, self.rules.longest_ns)
        self._stories: OrderedDict[int, Story] = OrderedDict()
        self._matcher = Matcher(self.rules, self._graph, self._stories)
        self._campaigns = Campaigns()
        self._changed: dict[int, None] = {}
        self._news: dict[int, None] = {}
        self._gone: list[Incident] = []
        self._kept = 0
        self._looked_at = 0
        self._next = 0

    def correlate(self, detections: list[Detection]) -> list[Incident]:
        """Take in a batch of detections and return the incidents that are new, say something new, or are over."""
        for detection in detections:
            self._take(detection)
        now = max((each.at for each in detections), default=0)
        return self._tell({**self._news, **self._over(now)})

    def due(self) -> int | None:
        """Return the event time at which the first story that has changed is over, None where there is none."""
        return min((self._stories[key].open_until + 1 for key in self._changed), default=None)

    def turn(self, until: int) -> list[Incident]:
        """Return the incidents that are over once event time goes on without detections."""
        self._looked_at = max(self._looked_at, until)
        return self._tell(self._over_by(until))

    def finish(self) -> list[Incident]:
        """Return the incidents that have changed since they were told."""
        return self._tell(self._changed)

    def save(self) -> dict[str, Any]:
        """Return all that is remembered as plain data that JSON can hold."""
        saved: dict[str, Any] = msgspec.to_builtins(
            CortexState(
                STATE_VERSION, self._next, list(self._changed), list(self._stories.values()), self._campaigns.campaigns,
                self._graph.save(), self._graph.fans.save(),
            ),
            str_keys=True,
        )  # fmt: skip
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what was saved; raises msgspec.ValidationError if it is not what `save` returns."""
        state = msgspec.convert(saved, CortexState, strict=False)
        if state.version != STATE_VERSION:
            raise msgspec.ValidationError(f"version {state.version} of saved correlation is not known")
        self._next = state.next
        self._changed = dict.fromkeys(state.changed)
        self._stories.clear()
        self._stories.update((story.key, story) for story in state.stories)
        self._kept = sum(len(story.kept) for story in state.stories)
        self._campaigns = Campaigns(state.campaigns)
        self._graph.load(state.nodes)
        self._graph.fans.load(state.fans)

    def _take(self, detection: Detection) -> None:
        """Add a detection to the stories it belongs to, made one, or begin a story with it."""
        matches = self._matching(detection)
        story = self._stories[_home(matches)] if matches else self._begin(detection)
        home = matches.pop(story.key, None)
        if home is not None:
            story.explain(home.join(detection))
        self._add(story, detection)
        for key, match in sorted(matches.items()):
            if self._has_room(story, self._stories[key], match.rule):
                story = self._merge(story, self._stories[key], match, detection)
        self._tie(story, detection)
        self._forget_oldest()

    def _begin(self, detection: Detection) -> Story:
        story = Story(self._next, detection.detection_id, detection.begin, detection.end, 0)
        self._stories[story.key] = story
        self._next += 1
        return story

    def _add(self, story: Story, detection: Detection) -> None:
        held = len(story.kept)
        self._graph.add(detection, story.key, story.admit(self._graph.nodes_of(detection), self._bounds))
        if story.add(detection, self._window_ns(detection), self._bounds):
            self._news[story.key] = None
        self._kept += len(story.kept) - held
        self._stories.move_to_end(story.key)
        self._changed[story.key] = None
        self._changed.update(dict.fromkeys(self._campaigns.advance(story)))

    def _matching(self, detection: Detection) -> dict[int, Match]:
        """Find the stories of a detection, each with the first rule that says so; a weak one has one at most."""
        found: dict[int, Match] = {}
        for match in self._matcher.matches("incident", detection):
            if self._fits(match, detection):
                found.setdefault(match.story, match)
        strong = {key: match for key, match in found.items() if match.rule.weak == "none"}
        if is_weak(detection) or not strong:
            return dict(sorted((strong or found).items(), key=self._preference)[:1])
        return strong

    def _preference(self, found: tuple[int, Match]) -> tuple[bool, bool]:
        """Order the stories that a weak finding may join: where it was before, then telling ones."""
        key, match = found
        return match.rule.by != "finding", self._stories[key].is_weak

    def _fits(self, match: Match, detection: Detection) -> bool:
        """Tell whether an incident stays readable with a detection: its span, and how many act in it."""
        story = self._stories[match.story]
        if is_weak(detection) or story.is_weak:
            return True
        if match.rule.by == "finding" and match.mention.severity < MEDIUM and not story.lasts_like(detection):
            return False  # it was only company, and would stretch the story now that it is telling
        actors = {*story.actors, *([detection.orig] if detection.orig else [])}
        return self._is_readable(match.rule, story, detection.begin, detection.end, len(actors))

    def _has_room(self, story: Story, other: Story, rule: Rule) -> bool:
        """Tell whether two stories would still be a readable one."""
        return self._is_readable(rule, story, other.first, other.last, len({*story.actors, *other.actors}))

    def _is_readable(self, rule: Rule, story: Story, first: int, last: int, actors: int) -> bool:
        if rule.by in BY_HOST and actors > self.settings.most_chained:
            return False
        whole, shorter = story.lasts_with(first, last)
        is_short = not rule.alike and (rule.longest_ns is None or whole <= rule.longest_ns)
        return is_short or 2 * shorter >= whole

    def _merge(self, one: Story, another: Story, match: Match, detection: Detection) -> Story:
        """Let the earlier of two stories take over the later, which is told for the last time if it was told before."""
        story, other = sorted((one, another), key=lambda each: each.key)
        held = len(story.kept) + len(other.kept)
        story.explain(match.join(detection, other.incident_id))
        if other.campaign is not None:
            self._retie(story, other)
            self._changed.update(dict.fromkeys(self._campaigns.replace(other, story)))
        self._graph.move(story.admit(other.nodes, self._bounds), other.key, story.key)
        self._graph.forget(other.nodes, other.key)
        story.absorb(other, self._bounds)
        if other.is_told:
            self._gone.append(msgspec.structs.replace(self._incident(other), merged_into=story.incident_id))
        self._kept += len(story.kept) - held
        self._drop(other.key)
        self._changed[story.key] = self._news[story.key] = None
        return story

    def _tie(self, story: Story, detection: Detection) -> None:
        """Tie a story to those that rules of campaigns name; a weak one is tied once at most."""
        if is_weak(detection) and (not story.is_weak or story.campaign is not None):
            return
        for match in self._ties(story, detection):
            other = self._stories[match.story]
            tied = self._retie(story, other)
            if tied:
                story.explain(match.join(detection, other.incident_id))
            if tied and is_weak(detection):
                return

    def _ties(self, story: Story, detection: Detection) -> Iterator[Match]:
        for match in self._matcher.matches("campaign", detection):
            other = self._stories[match.story]
            if is_weak(detection) and match.way.is_first:
                continue
            is_other = other.key != story.key and not self._is_crowd(story, other, match)
            if is_other and self._is_way_in(story, match, detection):
                yield match

    def _is_crowd(self, story: Story, other: Story, match: Match) -> bool:
        """Tell whether too many take part for a tie to mean anything."""
        widest = self.settings.widest_tie
        if max(len(story.actors), len(other.actors)) > widest:
            return True
        return match.rule.by == "actor" and self._matcher.stories_at(match.way) > widest

    def _is_way_in(self, story: Story, match: Match, detection: Detection) -> bool:
        """Tell whether a host that acts came under control just here: before it first acted, and nowhere else later.

        Otherwise all who ever attacked a popular server would be one campaign as soon as it acts. An attack that goes
        on after that has probably not succeeded, so one that was over is taken instead.
        """
        if match.rule.by != "victim-then-actor":
            return True
        acting = self._stories[match.story] if match.way.is_first else story
        acted = [each.first for each in self._matcher.acts(match) if self._is_tied(acting, each.story)]
        begun = min(acted, default=acting.first)
        ways_in = self._matcher.ways_in(match, begun)
        if any(self._is_tied(acting, each.story) for each in ways_in if each.story != story.key or acting is story):
            return False
        latest = max(ways_in, key=lambda each: (each.last <= begun, each.last, each.story), default=None)
        return detection.begin <= begun if match.way.is_first else latest is match.mention

    def _is_tied(self, story: Story, key: int) -> bool:
        return key == story.key or (story.campaign is not None and self._stories[key].campaign == story.campaign)

    def _retie(self, story: Story, other: Story) -> bool:
        changed = self._campaigns.tie(story, other, self._stories)
        self._changed.update(dict.fromkeys(changed))
        self._news.update(dict.fromkeys(key for key in changed if self._stories[key].is_told))
        return bool(changed)

    def _over(self, now: int) -> dict[int, None]:
        """Return the changed stories that are over; it is looked for them once in a while."""
        if 0 <= now - self._looked_at < LOOKS_NS:
            return {}
        self._looked_at = now
        return self._over_by(now)

    def _over_by(self, now: int) -> dict[int, None]:
        return {key: None for key in self._changed if self._stories[key].open_until < now}

    def _tell(self, keys: dict[int, None]) -> list[Incident]:
        incidents = [self._told(self._stories[key]) for key in list(keys) if key in self._stories]
        told, self._gone = self._gone + incidents, []
        return sorted(told, key=lambda each: (each.first_seen, each.incident_id))

    def _told(self, story: Story) -> Incident:
        story.is_told = True
        self._changed.pop(story.key, None)
        self._news.pop(story.key, None)
        return self._incident(story)

    def _incident(self, story: Story) -> Incident:
        campaign = self._campaigns.of(story)
        is_raised = story.is_weak and self._campaigns.is_under_way(story)
        incident = story.incident(self._assets, self.settings.most_detections, is_raised)
        return msgspec.structs.replace(
            incident,
            campaign_id=campaign and campaign.campaign_id,
            kill_chain=self._campaigns.kill_chain(story),
            joins=[*incident.joins, *([cascade(story, incident)] if is_raised else [])],
        )

    def _forget_oldest(self) -> None:
        while len(self._stories) > self.settings.most_stories or self._kept > self.settings.most_kept:
            story = next(iter(self._stories.values()))
            if story.key in self._changed:
                self._gone.append(self._told(story))
            self._kept -= len(story.kept)
            self._graph.forget(story.nodes, story.key)
            self._campaigns.leave(story)
            self._drop(story.key)
            self.dropped["stories"] += 1

    def _drop(self, key: int) -> None:
        del self._stories[key]
        self._changed.pop(key, None)
        self._news.pop(key, None)

    def _window_ns(self, detection: Detection) -> int:
        window_s = self.settings.slow_window_s if family(detection.category).slow else self.settings.window_s
        return int(window_s * NANOSECONDS)


def _home(matches: dict[int, Match]) -> int:
    """Return the story to which a detection goes: where the finding was before, else the earliest."""
    return min(matches, key=lambda key: (matches[key].rule.by != "finding", key))


def cascade(story: Story, incident: Incident) -> Join:
    """Return why weak findings count as medium: in an intrusion under way, each sign of the next step counts."""
    why = "its campaign has shown several tactics, so its findings of low severity count as medium"
    last = incident.detections[-1]
    return Join("severity-cascade", why, ", ".join(incident.orig), last.at, last.detection_id, story.incident_id)
