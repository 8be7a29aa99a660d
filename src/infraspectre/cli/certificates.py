"""`infraspectre certificates`: a small authority for the server and its sensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from infraspectre.serving.certificates import Authority, Finding, Issued


def init(*, folder: Path | None = None, name: str = "InfraSpectre", common: Common = DEFAULT) -> None:
    """Make an authority: its key, its certificate, and an empty list of revoked certificates.

    Parameters
    ----------
    folder
        Keep it in this folder, which must be empty of authorities, instead of the usual one.
    name
        Name that its certificate bears.
    """
    from infraspectre.serving.certificates import create_authority

    authority = create_authority(folder, name)
    if common.json:
        print_json({"folder": authority.folder})
    elif not common.quiet:
        note(f"authority made in {authority.folder}; keep a copy of ca.key offline")


def issue(
    name: str,
    /,
    *,
    role: Literal["sensor", "server"] = "sensor",
    tenant: str = "default",
    host: list[str] | None = None,
    days: float | None = None,
    folder: Path | None = None,
    common: Common = DEFAULT,
) -> None:
    """Make a key and a certificate for a sensor or the server, as NAME.key and NAME.pem.

    Parameters
    ----------
    name
        Name of the sensor or server.
    role
        Say what it is.
    tenant
        Tenant to which a sensor's flows belong.
    host
        Name or address under which a server is reached; may be repeated.
    days
        Let it hold so long; 90 days by default.
    folder
        Use the authority in this folder.
    """
    from infraspectre.serving.certificates import DAYS, open_authority

    authority = open_authority(folder)
    tell(authority, authority.issue(name, role, tenant, host or [], DAYS if days is None else days), common)


def rotate(name: str, /, *, days: float | None = None, folder: Path | None = None, common: Common = DEFAULT) -> None:
    """Make a new key and certificate for a name; the old one holds until its end, or until the name is revoked.

    Parameters
    ----------
    name
        Name of the sensor or server.
    days
        Let it hold so long; 90 days by default.
    folder
        Use the authority in this folder.
    """
    from infraspectre.serving.certificates import DAYS, open_authority

    authority = open_authority(folder)
    tell(authority, authority.rotate(name, DAYS if days is None else days), common)


def revoke(name: str, /, *, folder: Path | None = None, common: Common = DEFAULT) -> None:
    """Revoke all certificates of a name; a server that has the new list cuts it within seconds.

    Parameters
    ----------
    name
        Name of the sensor or server.
    folder
        Use the authority in this folder.
    """
    from infraspectre.serving.certificates import open_authority

    authority = open_authority(folder)
    revoked = authority.revoke(name)
    if common.json:
        print_json(revoked)
    elif not common.quiet:
        note(f"{len(revoked)} certificates of {name} revoked; servers need {authority.folder / 'revoked.pem'}")


def list_(*, folder: Path | None = None, common: Common = DEFAULT) -> None:
    """List all certificates that were issued.

    Parameters
    ----------
    folder
        Use the authority in this folder.
    """
    from infraspectre.serving.certificates import open_authority

    issued = open_authority(folder).issued()
    if common.json:
        print_json(issued)
    elif not common.quiet:
        print_table(["name", "role", "tenant", "from", "to", "revoked", "serial"], [row(each) for each in issued])


def check(*, folder: Path | None = None, common: Common = DEFAULT) -> int:
    """Tell which certificates have ended or end soon, and which files are not as they should be.

    The exit status is 1 if somebody should see to something.

    Parameters
    ----------
    folder
        Use the authority in this folder.
    """
    from infraspectre.serving.certificates import open_authority

    findings = list(open_authority(folder).check())
    if common.json:
        print_json([each._asdict() for each in findings])
    elif not common.quiet:
        for each in findings:
            note(line(each))
        note("nothing to do" if not findings else f"{len(findings)} to see to")
    return EXIT_FAILED if findings else EXIT_DONE


def tell(authority: Authority, issued: Issued, common: Common) -> None:
    """Say what was issued, and where it is."""
    from infraspectre.records.times import rfc3339

    certificate, key = (authority.folder / f"{issued.name}{suffix}" for suffix in (".pem", ".key"))
    if common.json:
        print_json({"issued": issued, "certificate": certificate, "key": key, "authority": authority.folder / "ca.pem"})
    elif not common.quiet:
        note(f"{issued.name} holds until {rfc3339(issued.not_after)}: {certificate}, {key}")


def row(issued: Issued) -> list[str]:
    """Return a certificate as cells of a table."""
    from infraspectre.records.times import rfc3339

    revoked = "" if issued.revoked_at is None else rfc3339(issued.revoked_at)[:10]
    start, end = rfc3339(issued.not_before)[:10], rfc3339(issued.not_after)[:10]
    return [issued.name, issued.role, issued.tenant, start, end, revoked, issued.serial]


def line(finding: Finding) -> str:
    """Say what is to be seen to."""
    return f"{'fault' if finding.is_fault else 'soon'}: {finding.subject}: {finding.problem}; {finding.remedy}"


COMMANDS: dict[str, Function] = {
    "init": init, "issue": issue, "rotate": rotate, "revoke": revoke, "list": list_, "check": check,
}  # fmt: skip
certificates = Group("Issue, rotate, revoke and check the certificates of the server and its sensors.", COMMANDS)
