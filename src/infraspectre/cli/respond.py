"""`infraspectre respond`: the response plan of an incident, and actions that a person approves."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from infraspectre.response import Known, Outcome, Proposal, Response


def respond(
    folder: Path,
    /,
    *,
    incident: str | None = None,
    action: list[Literal["blocklist", "nftables", "webhook"]] | None = None,
    target: list[str] | None = None,
    approve: bool = False,
    undo: bool = False,
    expire: bool = False,
    force: bool = False,
    by: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Show how an incident is answered, and carry out what is approved.

    Without --approve nothing is done: each action is shown as it would be carried out. Each action ends with its lease,
    has a deadline, can be undone, and stands in actions.jsonl beside the results before it begins. Without --incident,
    incidents and actions that are in force are listed.

    Parameters
    ----------
    folder
        Folder that 'analyze' wrote.
    incident
        Answer the incident whose identity begins so.
    action
        Block the addresses that the plan proposes to contain, by this; may be repeated.
    target
        Act against this address instead; may be repeated.
    approve
        Carry the actions out.
    undo
        Undo actions: those of the incident, else all, by the named actions or by any.
    expire
        Undo all actions whose lease has ended.
    force
        Act also against addresses that are protected: own ones, known assets, and servers that the site relies on.
    by
        Name who approves, for the audit trail; the user who runs the command by default.
    """
    from infraspectre import app
    from infraspectre.response import Response

    settings = app.chosen_settings(common.config)
    response = Response(folder, settings.response if settings else None)
    who = by or getpass.getuser()
    if undo or expire:
        chosen = response.incident(incident).incident_id if incident else None
        return told(response.undo(who, chosen, action or ()) if undo else response.expire(who), common)
    if incident is None:
        if approve or action or target:
            raise UsageError("no incident given to act on", remedy="name one with --incident")
        return show_all(response, common)
    known = response.incident(incident)
    if not action:
        return show_plan(known, common)
    proposals = response.propose(known, action, target or (), force=force)
    if approve or response.is_automatic(known):
        warn(proposals)
        return told(response.carry_out(proposals, who if approve else "automatic"), common)
    return show_proposals(proposals, common)


def show_all(response: Response, common: Common) -> int:
    """Print the incidents, and the actions that are in force."""
    from infraspectre.response import action_object
    from infraspectre.security import printable

    incidents, in_force = response.incidents(), response.open()
    if common.json:
        listed = [{"state": each.state, "by": each.by} | action_object(each.action) for each in in_force]
        print_json({"incidents": [about(each) for each in incidents], "actions": listed})
    elif not common.quiet:
        print_table(["incident", "score", "level", "what"], [line(each) for each in incidents])
        for entry in in_force:
            said = entry.said.partition("\n")[0]
            note(printable(f"{entry.state}: {entry.action.runner} {entry.action.target} by {entry.by}, {said}"))
    return EXIT_DONE


def about(incident: Known) -> dict[str, object]:
    """Return an incident in short."""
    score = incident.threat_score
    return {"incident_id": incident.incident_id, "score": score.value, "level": score.level, "title": incident.title}


def line(incident: Known) -> list[str]:
    """Return an incident as cells of a table."""
    from infraspectre.security import printable

    score = incident.threat_score
    return [incident.incident_id, str(int(score.value)), score.level, printable(incident.title)]


def show_plan(incident: Known, common: Common) -> int:
    """Print the response plan of an incident."""
    from infraspectre.security import printable

    if common.json:
        print_json(about(incident) | {"response_plan": incident.response_plan, "targets": incident.targets})
    elif not common.quiet:
        print("\n".join(map(printable, plan_lines(incident))))
    return EXIT_DONE


def plan_lines(incident: Known) -> Iterator[str]:
    """Yield whom to tell and what to do, each step with its commands."""
    plan = incident.response_plan
    yield f"{incident.title}: {plan.playbook}, {plan.priority}, raised at {incident.raised_at}"
    for told in plan.escalations:
        yield f"- tell the {told.to} within {told.within_minutes} minutes ({told.reason})"
    for number, step in enumerate(plan.steps, start=1):
        whom = f" ({step.target})" if step.target else ""
        yield f"{number}. {step.kind}: {step.title}{whom}, {span(step.deadline_s)}"
        if step.command:
            yield f"     {step.command}"
        yield from (f"     {tool}: {text}" for tool, text in step.queries.items())


def span(seconds: int) -> str:
    """Say by when a step should be done."""
    return f"within {seconds / 3600:g} h" if seconds >= 3600 else f"within {seconds / 60:g} min"


def warn(proposals: Sequence[Proposal]) -> None:
    """Say on stderr what is not done, and why."""
    from infraspectre.security import printable

    for each in proposals:
        if each.refused:
            note(f"warning: {printable(each.action.target)} {each.refused}; nothing is done against it without --force")


def show_proposals(proposals: Sequence[Proposal], common: Common) -> int:
    """Print what would be done; nothing is."""
    from infraspectre.response import action_object

    if common.json:
        print_json(
            [action_object(each.action) | {"preview": each.preview, "refused": each.refused} for each in proposals]
        )
        return EXIT_DONE
    warn(proposals)
    for each in proposals if not common.quiet else ():
        if each.refused is None:
            print(f"{each.action.runner} {each.action.target}: would {each.preview}")
    if not common.quiet:
        note("nothing was done; --approve does it" if proposals else "the plan proposes no address to contain")
    return EXIT_DONE


def told(outcomes: Sequence[Outcome], common: Common) -> int:
    """Print what became of actions; the status says whether any failed."""
    from infraspectre.response import outcome_object
    from infraspectre.security import printable

    if common.json:
        print_json([outcome_object(each) for each in outcomes])
    elif not common.quiet:
        for each in outcomes:
            print(printable(f"{each.state}: {each.action.runner} {each.action.target}: {each.said}"))
    return EXIT_FAILED if any(each.state in ("failed", "not undone") for each in outcomes) else EXIT_DONE
