"""mitmproxy's master and the four of its addons that we run, without the thirty others.

`mitmproxy.addons` imports them all, and with them a web framework, LDAP and a grammar of filters: a third of the time
in which a capture process starts, while an agent may wait for its first answer. So the package is entered as a module
whose `__init__` has not run, beneath which its parts are imported one by one. Where it has been imported before (a
mitmproxy of the user's own) it stays as it is.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

if "mitmproxy.addons" not in sys.modules:
    _spec = find_spec("mitmproxy.addons")
    assert _spec is not None
    sys.modules["mitmproxy.addons"] = module_from_spec(_spec)

from mitmproxy.addons import core, next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master  # which imports an addon too

__all__ = ["Master", "TlsConfig", "core", "next_layer", "proxyserver"]


class TlsConfig(tlsconfig.TlsConfig):
    """Loads our CA once. Checking its key takes 40 ms, and mitmproxy does so again when it begins to serve, for a mode
    of its own in which the first time does not happen."""

    def running(self) -> None:
        if getattr(self, "certstore", None) is None:
            super().running()  # type: ignore[no-untyped-call]
