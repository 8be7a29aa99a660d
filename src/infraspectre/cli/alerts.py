"""`infraspectre alerts`: what signatures find in captures, as EVE JSON."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from infraspectre.cli.options import AS_GIVEN, DEFAULT, Common, RuleOptions
from infraspectre.cli.output import following, note, print_json, status_of, warn_refused


def alerts(
    inputs: list[str],
    /,
    *,
    rules: list[Path],
    out: Path | None = None,
    packets: Path | None = None,
    options: RuleOptions = AS_GIVEN,
    common: Common = DEFAULT,
) -> int:
    """Match rules in Suricata's language on captures and write the alerts as EVE JSON.

    A rule that cannot be used is reported, and the others are matched. Without --out, alerts go to stdout, and --json
    adds nothing to them.

    Parameters
    ----------
    inputs
        Captures or folders of captures; - for stdin.
    rules
        Take rules from this file or folder; may be repeated.
    out
        Write the alerts to this file, one on a line.
    packets
        Write the packets of the conversations that raised alerts to this pcapng file.
    """
    from infraspectre import app, rulebook
    from infraspectre.capture.packets import Conversations
    from infraspectre.files import whole_file

    loaded = rulebook.Told(*options).load(rules)
    refused = loaded.refused
    status = warn_refused(refused)
    conversations = Conversations() if packets else None
    if packets:
        rulebook.require_files(inputs, "packets")
    stdout = sys.stdout.buffer if sys.stdout else rulebook.Nowhere()  # there is none where it was closed at the start
    with (
        following("matching", common, "alerts") as progress,
        whole_file(out) if out else nullcontext(stdout) as sink,
    ):
        account = rulebook.write_alerts(inputs, loaded, sink, progress, conversations)
    if packets and conversations:
        with whole_file(packets) as file:
            rulebook.write_packets(inputs, conversations, file)
    if common.json and out:
        print_json(app.account_object(account) | {"rules": len(loaded), "refused": refused})
    elif not common.quiet and not common.json:
        from infraspectre.records.words import plural

        note(f"{plural(account.packets, 'packet')}, {plural(len(loaded), 'rule')}, {plural(account.alerts, 'alert')}")
    return status_of(account) or status
