"""A dry run: says what would be done where nothing is set that could do it."""

from __future__ import annotations

from infraspectre.records.response import Action
from infraspectre.records.times import rfc3339


class DryRun:
    """Changes nothing, and says so."""

    name = "dry-run"

    def preview(self, action: Action) -> str:
        """Return what a runner would be asked for."""
        return f"nothing: a dry run; a runner would block {action.target} until {rfc3339(action.expires_at)}"

    def run(self, action: Action) -> str:
        """Return that nothing was changed."""
        return f"a dry run: nothing was changed about {action.target}"

    def undo(self, action: Action) -> str:
        """Return that there was nothing to undo."""
        return f"a dry run: nothing was to be undone about {action.target}"
