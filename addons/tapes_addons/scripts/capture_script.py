"""Records model calls in a mitmproxy of your own: mitmdump -s "$(tapes addon-path)"

mitmproxy runs this file again whenever it changes, so nothing lives here: the addon belongs to an imported module.
"""

from __future__ import annotations

import logging
import sys

NEEDED = 3, 12
"""As in pyproject.toml. This file alone has to be read by older ones too."""

try:
    from tapes_addons.standalone import the_addon
except (ImportError, SyntaxError) as error:  # SyntaxError: our files, read by an older Python
    if sys.version_info[:2] < NEEDED or isinstance(error, SyntaxError):
        remedy = f"tapes needs Python {NEEDED[0]}.{NEEDED[1]} or newer: install mitmproxy and agent-tapes under one"
    elif getattr(sys, "frozen", False):
        remedy = (
            "this mitmproxy is a stand-alone binary, which can not load them; install mitmproxy with pip, uv or pipx"
        )
        remedy += " and agent-tapes beside it"
    else:
        remedy = f"install agent-tapes into it: {sys.executable} -m pip install agent-tapes"
        remedy += " (pipx: pipx inject mitmproxy agent-tapes; uv: uv tool install mitmproxy --with agent-tapes)"
    logging.getLogger("tapes").error(
        f"tapes: NOT RECORDING. The Python that runs this mitmproxy ({sys.version.split()[0]}) has not got what the "
        f"script needs ({error}): {remedy}. Or start the mitmdump that lies beside the tapes command."
    )
    addons = []
else:
    addons = [the_addon()]
