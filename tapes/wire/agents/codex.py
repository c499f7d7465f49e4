"""Codex (seen with 0.169.0). Ids stand in headers, and once more in `x-codex-turn-metadata`, a JSON table.

Its base URLs stand in config.toml; `-c key=value` outranks the file and leaves it as it is. With an API key its own
provider is led to us whole (`openai_base_url`), WebSocket included. With a ChatGPT login that provider asks the service
where to go, so on the base-URL route it gets a provider of its own, which does not ask; sessions remember their
provider, so `codex resume` lists those of the proxy route apart from these.

On a terminal it makes its calls in a background server, which it starts, and shares with later launches, settings and
all: one that runs already would make them past us, and one that we had started would outlive our address. A `-c` on
the command line makes it do without. So there is always one; where we need none, it says what holds anyway.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.wire.agents.base import Identity, Launch, Settings, proxy_environment
from tapes.wire.agents.bases import Api, Bases, found_in, parents, variables_to_us
from tapes.wire.agents.jsonc import merged, table
from tapes.wire.agents.words import is_package, option_values, program

API_KEY_URL, LOGIN_URL = "https://api.openai.com/v1", "https://chatgpt.com/backend-api/codex"
OWN_PROVIDER = "tapes"
_KEYS = ("openai_base_url", "base_url")
"""Where model calls go; `chatgpt_base_url` is the account's service beside them."""
_IDLE = "check_for_update_on_startup"
"""A setting of every version seen, said once more as it is (true, where nobody says anything)."""
_ALONE = ("-c", "--config", "--enable", "--disable", "--no-daemon", "--remote")
"""With any of these on its command line it uses no background server of its own accord."""
_BARE = pattern(r"[A-Za-z0-9_-]+")
_AGENT = pattern(r"codex[\w-]*/([^\s(]+)")


class Codex:
    name: str = "codex"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) == "codex" or is_package(argv, "@openai/codex")

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return (
            headers.get("originator", "").startswith("codex")
            or headers.get("user-agent", "").startswith("codex")
            or "x-codex-turn-metadata" in headers
        )

    def settings(self, launch: Launch) -> Settings:
        config = _config(launch)
        words = dict(_pairs(launch.argv))
        oss = _local(launch)
        found = found_in(launch.environ, [oss])
        found |= {f"{path} in codex's config.toml": url for path, url in _urls(config, (*_KEYS, "chatgpt_base_url"))}
        found |= {f"{path} in a project's config.toml": url for path, url in _urls(_project(launch), _KEYS)}
        said = {f"-c {path}": url for path, url in words.items() if path.rpartition(".")[2] in _KEYS}
        if launch.route == "proxy":
            local = {"--oss": oss.url} if oss.url else {}
            return Settings(proxy_environment(launch), _on_its_own(launch, config), {}, local | found | said)
        if said:
            raise UsageError(
                f"the command line itself gives codex its base URL ({next(iter(said))}), which outranks ours",
                hint="leave --route out, or move that setting into config.toml",
            )
        bases = Bases(launch.own_url)
        overrides = {path: bases.ours(_prefix(path), url) for path, url in _urls(config, _KEYS)}
        provider = words.get("model_provider") or config.get("model_provider") or "openai"
        if provider == "openai":
            overrides |= self._openai(launch, bases, config.get("openai_base_url") or "")
        arguments = [word for path, url in overrides.items() for word in ("-c", f"{path}={json.dumps(url)}")]
        return Settings(variables_to_us(bases, launch.environ, [oss]), tuple(arguments), bases.upstreams, found)

    @staticmethod
    def _openai(launch: Launch, bases: Bases, base_url: str) -> dict[str, Any]:
        """What leads the built-in provider to us: one setting, or with a login another provider in its place."""
        if not _has_login(launch):
            return {"openai_base_url": bases.ours("openai", base_url or API_KEY_URL)}
        table = f"model_providers.{OWN_PROVIDER}"
        return {
            "model_provider": OWN_PROVIDER,
            f"{table}.name": "OpenAI",
            f"{table}.base_url": bases.ours("chatgpt", base_url or LOGIN_URL),
            f"{table}.wire_api": "responses",
            f"{table}.requires_openai_auth": True,
            f"{table}.supports_websockets": True,
        }

    def identity(self, headers: Mapping[str, str]) -> Identity:
        about = table(headers.get("x-codex-turn-metadata", ""))

        def first(*values: object) -> str:
            return next((value for value in values if isinstance(value, str) and value), "")

        session = first(about.get("session_id"), headers.get("session-id"), headers.get("session_id"))
        thread = first(about.get("thread_id"), headers.get("thread-id"))
        parent = first(headers.get("x-codex-parent-thread-id"), about.get("parent_thread_id"))
        version = _AGENT.match(headers.get("user-agent", ""))
        return Identity(
            session=session,
            # The main thread carries the session's id.
            thread="" if thread == session else thread,
            parent="" if parent == session else parent,
            version=first(headers.get("version"), version.group(1) if version else ""),
            path=first(about.get("agent_name")),
        )


def _on_its_own(launch: Launch, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The words that keep it from its background server and change nothing else."""
    if any(word.partition("=")[0] in _ALONE or word.startswith("-c") for word in launch.argv[1:]):
        return ()
    return ("-c", f"{_IDLE}={json.dumps(merged(config, _project(launch)).get(_IDLE) is not False)}")


def without_idle(words: Sequence[str]) -> tuple[str, ...]:
    """The same words without the idle `-c`: for whoever adds another, which does the same."""
    pairs = list(zip(words[::2], words[1::2], strict=True))
    return tuple(word for pair in pairs if not pair[1].startswith(f"{_IDLE}=") for word in pair)


def _home(launch: Launch) -> str:
    return launch.environ.get("CODEX_HOME") or f"{launch.home}/.codex"


def _config(launch: Launch) -> dict[str, Any]:
    """The machine's and the user's configuration. A project's can not set providers."""
    return merged(_toml(launch.read("/etc/codex/config.toml")), _toml(launch.read(f"{_home(launch)}/config.toml")))


def _project(launch: Launch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in parents(launch.cwd):
        found = merged(_toml(launch.read(f"{folder}/.codex/config.toml")), found)
    return found


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # slow to import, and a capture process asks for no configuration

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # codex says what is wrong with it, and does not start


def _urls(config: Mapping[str, Any], keys: Sequence[str], path: str = "") -> Iterator[tuple[str, str]]:
    """Base URLs anywhere in the tables (providers, profiles), by their dotted path."""
    for key, value in config.items():
        if not _BARE.fullmatch(key):
            continue  # `-c` has no way to write such a path; that provider's calls are reported as passing us
        if isinstance(value, dict):
            yield from _urls(value, keys, f"{path}{key}.")
        elif key in keys and isinstance(value, str) and value:
            yield f"{path}{key}", value


def _prefix(path: str) -> str:
    """`model_providers.azure.base_url` is led to us as /azure."""
    parts = path.split(".")
    return parts[-2] if len(parts) > 1 else "openai"


def _pairs(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The `-c key=value` words of a command line, quotes taken off."""
    for pair in option_values(argv, "-c", "--config"):
        key, _, value = pair.partition("=")
        yield key.strip(), value.strip().strip("\"'")


def _local(launch: Launch) -> Api:
    """The local server of `--oss`."""
    port = "1234" if "lmstudio" in launch.argv else "11434"
    port = launch.environ.get("CODEX_OSS_PORT") or port
    return Api("oss", f"http://localhost:{port}/v1" if "--oss" in launch.argv else "", ("CODEX_OSS_BASE_URL",))


def _has_login(launch: Launch) -> bool:
    """Is it a ChatGPT login that codex would use, and not an API key? What lies in a keyring is taken for a login."""
    if launch.environ.get("CODEX_API_KEY"):
        return False
    about = table(launch.read(f"{_home(launch)}/auth.json"))
    mode = about.get("auth_mode")
    return mode != "apikey" if isinstance(mode, str) else not about.get("OPENAI_API_KEY")
