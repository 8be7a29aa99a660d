"""Campaigns: incidents over hours and days that one intruder is behind, with one name that stays."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from infraspectre.cortex.story import Story, in_order, merge_progress
from infraspectre.records import Progress
from infraspectre.records.detection import SEVERITIES

MOST_MEMBERS = 256
"""Incidents of one campaign; what would hold more is no intrusion but noise that has something in common."""
HIGH = SEVERITIES.index("high")
CASCADE = 3
"""Tactics of telling evidence after which an intrusion is under way, and weak findings about its hosts count more."""


class Campaign(msgspec.Struct):
    """Holds what several incidents are tied to."""

    campaign_id: str
    """The identity of its first incident."""
    members: dict[int, None]
    reached: dict[str, Progress]
    severity: int
    """The highest of its incidents, as a position in SEVERITIES."""


class Campaigns:
    """Ties stories to campaigns; the campaign that began first gives its name when two become one."""

    def __init__(self, campaigns: dict[int, Campaign] | None = None) -> None:
        """Begin with some campaigns, by the number of their first story."""
        self.campaigns = campaigns or {}

    def of(self, story: Story) -> Campaign | None:
        """Return the campaign of a story, if it belongs to one."""
        return None if story.campaign is None else self.campaigns[story.campaign]

    def tie(self, story: Story, other: Story, stories: Mapping[int, Story]) -> list[int]:
        """Let two stories belong to one campaign; return all of it, none if nothing changed."""
        ours, theirs = sorted((self._begun(story), self._begun(other)))
        first, second = self._get(ours, stories), self._get(theirs, stories)
        if ours == theirs or len(first.members) + len(second.members) > MOST_MEMBERS:
            return []
        first.members |= second.members
        merge_progress(first.reached, second.reached.values())
        first.severity = max(first.severity, second.severity)
        self.campaigns[ours] = first
        self.campaigns.pop(theirs, None)
        for key in first.members:
            stories[key].campaign = ours
        return list(first.members)

    def advance(self, story: Story) -> list[int]:
        """Add the progress of a story to its campaign; return the members to tell anew."""
        campaign = self.of(story)
        if campaign is None:
            return []
        is_further = merge_progress(campaign.reached, story.reached.values()) or story.severity > campaign.severity
        campaign.severity = max(campaign.severity, story.severity)
        return list(campaign.members) if is_further else []

    def leave(self, story: Story) -> None:
        """Let a story go that is no longer remembered; its campaign goes with the last."""
        campaign = self.of(story)
        if campaign is not None:
            campaign.members.pop(story.key, None)
            if not campaign.members:
                del self.campaigns[story.campaign or 0]

    def replace(self, other: Story, story: Story) -> list[int]:
        """Let a story that took over another stand for it; return the members to tell anew."""
        campaign = self.of(story)
        self.leave(other)
        for tactic, each in (campaign.reached if campaign else {}).items():
            if campaign and each.incident_id == other.incident_id:
                campaign.reached[tactic] = msgspec.structs.replace(each, incident_id=story.incident_id)
        return list(campaign.members) if campaign else []

    def kill_chain(self, story: Story) -> list[Progress]:
        """Return the tactics reached by a story and all that is tied to it, in order of their first evidence."""
        campaign = self.of(story)
        return in_order((campaign or story).reached.values())

    def is_under_way(self, story: Story) -> bool:
        """Tell whether a story began in an intrusion that had shown several tactics, not all of them doubtful.

        What went on before it is no sign of its next step.
        """
        campaign = self.of(story)
        if campaign is None or len(campaign.reached) < CASCADE or campaign.severity < HIGH:
            return False
        return story.first >= in_order(campaign.reached.values())[CASCADE - 1].at

    def _begun(self, story: Story) -> int:
        return story.key if story.campaign is None else story.campaign

    def _get(self, key: int, stories: Mapping[int, Story]) -> Campaign:
        return self.campaigns.get(key) or _alone(stories[key])


def _alone(story: Story) -> Campaign:
    return Campaign(story.incident_id, {story.key: None}, dict(story.reached), story.severity)
