"""`python -m tapes_cli` is `tapes`."""

from tapes_cli.entry import main

main()
