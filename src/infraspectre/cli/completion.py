"""`infraspectre completion`: completion of commands and options in the shell."""

from __future__ import annotations

from typing import Literal

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json

Shell = Literal["bash", "zsh", "fish"]


def completion(shell: Shell, /, *, common: Common = DEFAULT) -> None:
    """Print a script that completes commands and options in a shell.

    Parameters
    ----------
    shell
        Write for this shell; for bash, `source <(infraspectre completion bash)` turns it on.
    """
    from infraspectre.cli import app

    script = app.generate_completion(shell=shell)
    if common.json:
        print_json({"shell": shell, "script": script})
    elif not common.quiet:
        print(script)
