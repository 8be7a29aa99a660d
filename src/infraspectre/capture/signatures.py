"""Alerts of packet captures: signatures of the core, compiled once, and what they find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infraspectre import _core
from infraspectre.errors import CaptureError, InputError
from infraspectre.ports import Account

if TYPE_CHECKING:
    from infraspectre.records.signatures import Refusal, SignatureCost


class Rules:
    """Holds compiled rules and what was refused of them."""

    def __init__(
        self,
        paths: Sequence[str],
        settings: Mapping[str, str] | None = None,
        originals: Mapping[str, str] | None = None,
    ) -> None:
        """Compile rule files; raises InputError where files or settings cannot be used at all.

        `settings` have Suricata's dotted names; `originals` says for which file a path is only the copy.
        """
        self.settings = dict(settings or {})
        self._originals = originals or {}
        try:
            self.compiled = _core.RuleSet(list(paths), settings=self.settings)
        except (OSError, ValueError) as error:
            raise InputError(str(error)) from error
        self.files = len(paths)

    def __len__(self) -> int:
        return len(self.compiled)

    def __repr__(self) -> str:
        return f"Rules: {len(self):,} in {self.files:,} files, {len(self.refused):,} refused"

    @property
    def refused(self) -> list[Refusal]:
        """Return the rules that cannot be used, in the order of the files."""
        return [self._refusal(found) for found in self.compiled.refused]

    def _refusal(self, found: Mapping[str, Any]) -> Refusal:
        from infraspectre.records.signatures import Refusal  # only here: few rules are refused

        path = self._originals.get(found["file"], found["file"])
        details = {name: found[name] for name in ("line", "gid", "sid", "reason", "suggestion", "text")}
        return Refusal(path=path, **details)


class AlertAccount(Account):
    """Counts what was read and lost, and the alerts."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.alerts = 0


class AlertSource:
    """Gives the alerts that rules raise on captures, merged by time."""

    def __init__(self, paths: Sequence[str], rules: Rules) -> None:
        """Open the captures; raises CaptureError when none can be opened."""
        try:
            self._reader = _core.AlertReader(list(paths), rules.compiled, settings=rules.settings)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole lines of EVE JSON, some at a time."""
        try:
            yield from self._reader
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def account(self) -> AlertAccount:
        """Return what was read, lost and found so far."""
        return AlertAccount.of(self._reader.summary())

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; 0 in all where that is unknown."""
        return self._reader.progress()

    def costs(self) -> list[SignatureCost]:
        """Return what each rule took that was tried, the dearest first; needs the setting profiling=yes."""
        from infraspectre.records.signatures import SignatureCost

        costs = [SignatureCost(**cost) for cost in self._reader.profile()]
        return sorted(costs, key=lambda cost: (-cost.ns, cost.gid, cost.sid))
