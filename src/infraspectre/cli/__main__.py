"""Run the command line as `python -m infraspectre.cli`."""

from infraspectre.cli import main

main()
