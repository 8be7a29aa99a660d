"""`infraspectre doctor`: whether the platform can run here."""

from __future__ import annotations

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED


def doctor(*, common: Common = DEFAULT) -> int:
    """Check whether the platform can run here: settings, disk, clock, ports, certificates and limits.

    The exit status is 1 if something keeps it from running; what could be better is a warning.
    """
    from infraspectre.serving.doctor import examine

    findings = list(examine(common.config))
    if common.json:
        print_json({"findings": findings})
    elif not common.quiet:
        print_table(["", "state", "", "remedy"], [(each.name, each.state, each.text, each.remedy) for each in findings])
    return EXIT_FAILED if any(each.state == "failed" for each in findings) else EXIT_DONE
