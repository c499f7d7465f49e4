"""`python -m tapes_cli` is `tapes`."""

from tapes_cli.main import main

main()
