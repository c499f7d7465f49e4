"""Gemini CLI (seen with 0.61.0). It sends no session id: `x-gemini-api-privileged-user-id` is the installation's.

It speaks to one of three services, by how the user signs in: the Gemini API (a key), Vertex AI, or Code Assist (a
Google login); each has a variable for its address. Its .env files never replace a variable that is set.

Where its settings do not say how the user signs in, a base URL makes it think of a gateway, for which it then does not
start; its weakest layer of settings, which could tell it, is read from directories of root's alone. So that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.wire.agents.base import Identity, Launch, Settings
from tapes.wire.agents.bases import GEMINI, Api, by_variables, parents, values_of
from tapes.wire.agents.jsonc import found_at, table
from tapes.wire.agents.words import is_package, program

_VERSION = pattern(r"GeminiCLI(?:-[a-z]+)?/([^/\s]+)")
_CODE_ASSIST = Api("code-assist", "https://cloudcode-pa.googleapis.com", ("CODE_ASSIST_ENDPOINT",))
_VERTEX = "GOOGLE_VERTEX_BASE_URL"
_SWITCHES = ("GOOGLE_GENAI_USE_GCA", "GOOGLE_GENAI_USE_VERTEXAI")
"""Variables that choose a service before any base URL is looked at."""


class Gemini:
    name: str = "gemini"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in {"gemini", "gemini-cli"} or is_package(argv, "@google/gemini-cli")

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return headers.get("user-agent", "").startswith("GeminiCLI")

    def settings(self, launch: Launch) -> Settings:
        values = _values(launch)
        region = values.get("GOOGLE_CLOUD_LOCATION") or "global"
        vertex = f"https://{'' if region == 'global' else f'{region}-'}aiplatform.googleapis.com"
        apis = [GEMINI, _CODE_ASSIST, Api("vertex", vertex, (_VERTEX,))]
        settings = by_variables(launch, values, apis)
        decided = values.get(GEMINI.variables[0]) or any(values.get(name) == "true" for name in _SWITCHES)
        if launch.route == "proxy" or decided or _signs_in(launch):
            return settings
        environment = dict(settings.environment)
        if not values.get("GEMINI_API_KEY"):
            # It asks its user, as it would without us.
            del environment[GEMINI.variables[0]]
            return replace(settings, environment=environment)
        raise UsageError(
            "gemini's settings do not say how you sign in, and with a base URL it would then not start",
            hint="leave --route out, or choose the way once with /auth in gemini",
        )

    def identity(self, headers: Mapping[str, str]) -> Identity:
        version = _VERSION.search(headers.get("user-agent", ""))
        return Identity(version=version.group(1) if version else "")


def _signs_in(launch: Launch) -> bool:
    """Do the settings say how the user signs in?"""
    system = launch.environ.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH") or "/etc/gemini-cli/settings.json"
    paths = (system, f"{_home(launch)}/.gemini/settings.json", f"{launch.cwd}/.gemini/settings.json")
    return any(found_at(table(launch.read(path)), "security", "auth", "selectedType") for path in paths)


def _home(launch: Launch) -> str:
    return launch.environ.get("GEMINI_CLI_HOME") or launch.home


def _values(launch: Launch) -> dict[str, str]:
    """The environment and the one .env file it loads: the nearest, `.gemini/.env` before `.env`."""
    home = _home(launch)
    files = [f"{folder}/{name}" for folder in [*parents(launch.cwd), home] for name in (".gemini/.env", ".env")]
    return values_of(launch, next((file for file in files if launch.read(file)), f"{home}/.env"))
