"""mitmproxy, entered without its thirty other addons."""

from __future__ import annotations

import subprocess
import sys


def modules_after(program: str) -> set[str]:
    program += "\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_capture_process_loads_no_addon_that_it_does_not_run() -> None:
    loaded = modules_after("import tapes_addons.recorder, tapes_addons.capture, tapes_addons.proxy")
    assert "mitmproxy.addons.proxyserver" in loaded
    assert not loaded & {"flask", "ldap3", "mitmproxy.addons.onboarding", "mitmproxy.addons.proxyauth"}


def test_a_mitmproxy_that_is_there_already_keeps_all_of_its_addons() -> None:
    program = "import mitmproxy.addons as a, tapes_addons.proxy\nassert 'default_addons' in dir(a)"
    assert "mitmproxy.addons.onboarding" in modules_after(program)
