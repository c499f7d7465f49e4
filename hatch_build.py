"""Compiles the native supervisor where there is a C compiler, for wheels and editable installs alike.

Never fails a build: without the program, commands are witnessed by a trap in the shell (`tapes doctor` says so). A
wheel that holds the program is a wheel of one platform; the program is of no Python version.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TERMINAL = "addons/tapes_addons/terminal"


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            trouble = self._build(version, build_data)
        except Exception as error:  # noqa: BLE001 - the package is whole without it
            trouble = repr(error)
        if trouble:
            self.app.display_warning(f"tapes-sh was not built: {trouble}")

    def _build(self, version: str, build_data: dict[str, Any]) -> str:
        # By its path: the package that is being built can not be imported yet.
        spec = importlib.util.spec_from_file_location("tapes_supervisor", Path(self.root, TERMINAL, "supervisor.py"))
        assert spec is not None and spec.loader is not None
        supervisor = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = supervisor  # dataclasses look their module up
        spec.loader.exec_module(supervisor)
        trouble = str(supervisor.build())
        if not trouble and version != "editable":
            program = "tapes_addons/terminal/native/tapes-sh"
            build_data["force_include"][str(supervisor.PROGRAM)] = program
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
        return trouble
