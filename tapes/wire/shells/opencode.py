"""OpenCode's shells (seen with 1.18.33): $SHELL with the command as it was asked for.

Its results never say an exit status. A plugin of ours adds the call's id to each command's environment; it goes by the
variable that holds configuration of the launch's own, beside what the user has there.

In each of its configuration directories OpenCode installs a package for plugins (npm), in the background; but with a
plugin it waits for that, off line more than a minute. So ours goes along only where that is done, or where the user has
plugins and waits anyway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from tapes.pattern import pattern
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.agents.bases import parents
from tapes.wire.agents.jsonc import found_at, table
from tapes.wire.agents.opencode import CONTENT
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.shells.denials import denials, denied_by
from tapes.wire.shells.environment import field, with_shells
from tapes.wire.shells.generic import GenericShells
from tapes.wire.shells.marked import MARKED, PLUGIN_CALL

"""The variable that the plugin (terminal/shim/opencode_plugin.js) sets."""
_PACKAGE = "@opencode-ai/plugin"
_ABOUT = pattern(r"\n\n<(?:shell_|bash_)?metadata>\n(.*?)\n</(?:shell_|bash_)?metadata>\s*$", re.DOTALL)
_CUT = pattern(r"\.\.\.output truncated\.\.\.\n\n(?:Full output saved to: [^\n]*\n\n)?")
_NOTHING = "(no output)"
_DENIALS = denials(
    {
        # Said as well where nobody was there to be asked: `opencode run` rejects by itself.
        "person": [r"(?:Error: )?The user rejected permission to use this specific tool call"],
        "rule": [r"(?:Error: )?The user has specified a rule which prevents you"],
    }
)


class OpenCodeShells(GenericShells):
    name: str = "opencode"
    marks, scope = MARKED["opencode"]

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        settings = with_shells(launch, witness, settings)
        content = table(settings.environment.get(CONTENT) or launch.environ.get(CONTENT, ""))
        plugins = content.get("plugin")
        if witness.join == "none" or not witness.plugin or not (plugins or _is_ready(launch)):
            return settings
        content["plugin"] = [*(plugins if isinstance(plugins, list) else ()), f"file://{quote(witness.plugin)}"]
        return replace(settings, environment={**settings.environment, CONTENT: json.dumps(content)})

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if tool != "bash" or not (line := field(arguments, "command")):
            return ()
        return (Claim(line, field(arguments, "workdir")),)

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if denied := denied_by(_DENIALS, result):
            return Told(denied=denied)
        if is_error:
            return Told()
        about = _ABOUT.search(result)
        output = result[: about.start()] if about else result
        cut = _CUT.match(output)
        output = output[cut.end() :] if cut else output
        timed_out = about is not None and "exceeding timeout" in about[1]
        return Told(output="" if output == _NOTHING else output, shortened=cut is not None, timed_out=timed_out)

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        call = environ.get(PLUGIN_CALL.encode(), b"")
        return {"plugin": call.decode("utf-8", "replace")} if call else {}


def _is_ready(launch: Launch) -> bool:
    """Is OpenCode's package for plugins installed in every directory where it wants it?"""
    config = launch.environ.get("XDG_CONFIG_HOME") or f"{launch.home}/.config"
    main, given = f"{config}/opencode", launch.environ.get("OPENCODE_CONFIG_DIR", "")
    others = [f"{folder}/.opencode" for folder in (*parents(launch.cwd), launch.home)] + ([given] if given else [])
    return all(
        (folder != main and not _is_used(launch, folder)) or _has_package(launch, folder) for folder in (main, *others)
    )


def _is_used(launch: Launch, folder: str) -> bool:
    # OpenCode itself writes the first of these into each directory that it finds.
    return any(
        launch.read(f"{folder}/{name}") for name in (".gitignore", "opencode.json", "opencode.jsonc", "package.json")
    )


def _has_package(launch: Launch, folder: str) -> bool:
    """As OpenCode itself decides it: all that is wanted stands in npm's lock file."""
    wanted = {_PACKAGE, *_dependencies(table(launch.read(f"{folder}/package.json")))}
    return wanted <= _dependencies(found_at(table(launch.read(f"{folder}/package-lock.json")), "packages", ""))


def _dependencies(package: object) -> set[str]:
    kinds = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    tables = (found_at(package, kind) for kind in kinds)
    return {name for table in tables if isinstance(table, dict) for name in table}
