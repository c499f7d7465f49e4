"""Agents: how a command line or a request shows which it is, how each is led to us, and that no base URL is lost."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence

import pytest

from tapes.errors import UsageError
from tapes.wire.agents import AGENTS, by_name, recognise, speaking
from tapes.wire.agents.base import Identity, Launch, Route, Settings, Trust
from tapes.wire.agents.bases import Bases, dotenv
from tapes.wire.agents.jsonc import table
from tapes.wire.agents.words import program_at

OWN = "http://127.0.0.1:{port}"
OTHER = "https://gateway.example/some/v1"


def launch(
    argv: Sequence[str], route: Route, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Settings:
    """How the agent of a command line is launched, with these variables and files."""
    read = dict(files or {})
    asked = Launch(
        argv, environ or {}, route, OWN, Trust("/b", "/x"), "/home/u", "/w/p", lambda path: read.get(path, "")
    )
    return recognise(argv).settings(asked)


def words_of(settings: Settings) -> dict[str, object]:
    """Codex's `-c` words as the TOML that they say."""
    pairs = [word for word in settings.arguments if word != "-c"]
    return {key: value for pair in pairs for key, value in tomllib.loads(pair).items()}


# -- who is it


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("claude -p hi", "claude"),
        ("npx -y @anthropic-ai/claude-code@latest", "claude"),
        ("node /x/node_modules/@anthropic-ai/claude-code/cli.js", "claude"),
        ("/opt/bin/codex exec hi", "codex"),
        ("npx @openai/codex", "codex"),
        ("env A=b -u C codex", "codex"),
        ("bunx @google/gemini-cli -p hi", "gemini"),
        ("node --require x.js /x/@google/gemini-cli/bundle/gemini.js", "gemini"),
        ("opencode run hi", "opencode"),
        ("npm exec -- opencode-ai", "opencode"),
        ("uv run --with x aider hello.py", "aider"),
        ("uvx --from aider-chat aider", "aider"),
        ("uv tool run aider", "aider"),
        ("python3.12 -m aider", "aider"),
        ("pipx run mini-swe-agent", "mini"),
        ("bash", "human"),
        ("/bin/zsh -il", "human"),
        ("env A=b fish -C x", "human"),
        ("bash --rcfile some -O extglob -i", "human"),
        ("bash --rcfile", "human"),
        ("bash script.sh", "generic"),
        ("bash -ic ls", "generic"),
        ("sh -ec ls", "generic"),
        ("zsh --version", "generic"),
        ("bash -- script", "generic"),
        ("python3 -X dev -m minisweagent.run.mini", "mini"),
        ("nice -n 5 mini -t x", "mini"),
        ("python -m tapes_addons.simulators.agent go", "demo"),
        ("python script.py codex", "generic"),
        ("python -c codex", "generic"),
        ("sh -c codex", "generic"),
        ("node", "generic"),
        ("env", "generic"),
        ("grep claude notes", "generic"),
    ],
)
def test_a_command_line_shows_its_agent_through_whatever_starts_it(line: str, name: str) -> None:
    assert recognise(line.split()).name == name


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("codex exec", "codex"),
        ("npx -y @openai/codex exec", "@openai/codex"),
        ("node --import y /x/codex.js exec", "/x/codex.js"),
        ("uv run --python 3.12 aider x", "aider"),
        ("python -c pass", "python"),
    ],
)
def test_words_for_the_agent_go_behind_the_word_that_names_it(line: str, word: str) -> None:
    argv = line.split()
    assert argv[program_at(argv)] == word


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"user-agent": "claude-cli/2.1.197 (external, sdk-cli)"}, "claude"),
        ({"originator": "codex_exec", "user-agent": "codex_exec/0.169.0 (Debian)"}, "codex"),
        ({"user-agent": "GeminiCLI-tui/0.61.0/gemini-x (linux)"}, "gemini"),
        ({"user-agent": "opencode/1.18.33 ai-sdk/provider-utils"}, "opencode"),
        ({"x-tapes-demo-session": "s"}, "demo"),
        ({"user-agent": "OpenAI/Python 2.54.0"}, "generic"),
        ({}, "generic"),
    ],
)
def test_a_request_shows_its_agent_by_its_marks_and_else_none(headers: dict[str, str], name: str) -> None:
    assert speaking(headers).name == name


def test_every_name_leads_back_to_its_agent_and_an_unknown_one_to_generic() -> None:
    assert [by_name(agent.name) for agent in AGENTS] == list(AGENTS)
    assert by_name("of a later version").name == "generic"


# -- whose request is it


def test_codex_names_session_thread_and_parent_and_the_main_thread_is_unnamed() -> None:
    codex = by_name("codex")
    main = {"session-id": "s", "thread-id": "s", "version": "0.169.0"}
    child = {"session-id": "s", "thread-id": "t2", "x-codex-parent-thread-id": "t1", "user-agent": "codex_exec/0.1 (x)"}
    assert codex.identity(main) == Identity("s", "", "", "0.169.0")
    assert codex.identity(child) == Identity("s", "t2", "t1", "0.1")
    assert codex.identity(child | {"x-codex-parent-thread-id": "s"}).parent == ""


def test_what_codex_says_of_the_turn_outranks_the_handshakes_headers() -> None:
    about = json.dumps({"session_id": "s2", "thread_id": "t2", "turn_id": "x"})
    headers = {"session-id": "s", "thread-id": "s", "x-codex-turn-metadata": about}
    assert by_name("codex").identity(headers) == Identity("s2", "t2")
    assert by_name("codex").identity(headers | {"x-codex-turn-metadata": "{broken"}) == Identity("s")


def test_opencodes_root_is_the_session_and_its_child_a_thread() -> None:
    opencode = by_name("opencode")
    assert opencode.identity({"x-session-id": "ses_1", "user-agent": "opencode/1.2 x"}) == Identity(
        "ses_1", version="1.2"
    )
    assert opencode.identity({"x-session-id": "ses_2", "x-parent-session-id": "ses_1"}) == Identity("ses_1", "ses_2")


def test_gemini_and_claude_give_their_versions() -> None:
    assert by_name("gemini").identity({"user-agent": "GeminiCLI/0.61.0/gemini-x (linux)"}) == Identity(version="0.61.0")
    assert by_name("claude").identity({"user-agent": "claude-cli/2.1 (x)"}).version == "2.1"


# -- the proxy route


@pytest.mark.parametrize("line", ["claude", "codex -c a=b", "gemini", "opencode", "aider", "mini", "python x.py"])
def test_on_the_proxy_route_an_agent_gets_proxy_and_trust_and_no_other_word(line: str) -> None:
    settings = launch(line.split(), "proxy")
    assert settings.environment["HTTPS_PROXY"] == OWN
    assert settings.environment["SSL_CERT_FILE"] == "/b"
    assert settings.environment["NODE_EXTRA_CA_CERTS"] == "/x"
    assert (settings.arguments, settings.upstreams, settings.model_hosts) == ((), {}, {})


def test_nodes_own_fetch_is_told_to_use_the_proxy_unless_the_user_said_otherwise() -> None:
    assert launch(["node", "x.mjs"], "proxy").environment["NODE_USE_ENV_PROXY"] == "1"
    assert launch(["node", "x.mjs"], "proxy", {"NODE_USE_ENV_PROXY": "0"}).environment["NODE_USE_ENV_PROXY"] == "0"
    assert "NODE_USE_ENV_PROXY" not in launch(["node", "x.mjs"], "base-url").environment


CODEX_CONFIG = f"""
openai_base_url = "{OTHER}"
chatgpt_base_url = "https://chat.example/backend-api/"
[model_providers.mine]
base_url = "https://mine.example/v1"
[profiles.work]
openai_base_url = "https://work.example/v1"
[mcp_servers.docs]
url = "https://docs.example/mcp"
"""
OPENCODE_CONFIG = """{
  // where we work
  "provider": {"anthropic": {"options": {"baseURL": "https://gateway.example/some/v1",}},
               "local": {"options": {"baseURL": "http://{env:BOX}:1234/v1"}}} /* all */
}"""


@pytest.mark.parametrize(
    ("line", "environ", "files", "hosts"),
    [
        ("claude", {}, {"/home/u/.claude/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "%s"}}'}, {OTHER}),
        ("claude", {"CLAUDE_CONFIG_DIR": "/c"}, {"/c/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "%s"}}'}, {OTHER}),
        ("claude", {"ANTHROPIC_BASE_URL": OTHER}, {}, {OTHER}),
        (
            "codex",
            {},
            {"/home/u/.codex/config.toml": CODEX_CONFIG},
            {OTHER, "https://chat.example/backend-api/", "https://mine.example/v1", "https://work.example/v1"},
        ),
        ("codex", {"CODEX_HOME": "/c"}, {"/c/config.toml": f'openai_base_url = "{OTHER}"'}, {OTHER}),
        (f"codex exec -c openai_base_url={OTHER} hi", {}, {}, {OTHER}),
        ("codex --oss", {}, {}, {"http://localhost:11434/v1"}),
        ("gemini", {}, {"/home/u/.gemini/.env": f"export GOOGLE_GEMINI_BASE_URL='{OTHER}' # ours"}, {OTHER}),
        ("gemini", {"CODE_ASSIST_ENDPOINT": OTHER}, {"/w/.gemini/.env": "A=b"}, {OTHER}),
        (
            "opencode",
            {"BOX": "box"},
            {"/home/u/.config/opencode/opencode.jsonc": OPENCODE_CONFIG},
            {OTHER, "http://box:1234/v1"},
        ),
        (
            "opencode",
            {"XDG_CONFIG_HOME": "/x", "BOX": "box"},
            {
                "/x/opencode/opencode.json": OPENCODE_CONFIG,
                "/w/opencode.json": '{"provider": {"anthropic": {"options": {"baseURL": "https://nearer.example"}}}}',
            },
            {"https://nearer.example", "http://box:1234/v1"},
        ),
        ("aider", {}, {"/home/u/.aider.conf.yml": f"openai-api-base: {OTHER}\n"}, {OTHER}),
        ("aider", {}, {"/w/p/.aider.conf.yml": f"set-env:\n  - ANTHROPIC_API_BASE={OTHER}\n  - A=b\n"}, {OTHER}),
        ("aider", {"OPENAI_API_BASE": "https://set.example"}, {"/w/p/.env": f"OPENAI_API_BASE={OTHER}"}, {OTHER}),
        (f"aider --openai-api-base {OTHER}", {}, {}, {OTHER}),
        ("mini", {}, {"/home/u/.config/mini-swe-agent/.env": f"OPENAI_API_BASE={OTHER}"}, {OTHER}),
        ("python x.py", {"AZURE_OPENAI_ENDPOINT": OTHER, "OLLAMA_HOST": "box:11434"}, {}, {OTHER, "http://box:11434"}),
    ],
)
def test_a_base_url_of_the_users_own_is_found_wherever_the_agent_reads_it(
    line: str, environ: dict[str, str], files: dict[str, str], hosts: set[str]
) -> None:
    files = {path: text.replace("%s", OTHER) for path, text in files.items()}
    assert set(launch(line.split(), "proxy", environ, files).model_hosts.values()) == hosts


@pytest.mark.parametrize("path", ["/home/u/.codex/config.toml", "/home/u/.claude/settings.json", "/w/p/opencode.json"])
@pytest.mark.parametrize("text", ["\0\xff", "[[", '{"env": 1, "provider": []}', "[" * 100_000, "a = " * 3])
def test_a_broken_configuration_file_is_the_agents_to_complain_about(path: str, text: str) -> None:
    for line in ("codex", "claude", "opencode"):
        assert launch([line], "proxy", {}, {path: text}).model_hosts == {}


def test_codex_is_kept_from_its_background_server_by_a_setting_that_holds_anyway() -> None:
    """A server that runs already makes its calls past us; one that we had started would outlive our address."""
    off = "check_for_update_on_startup = false"
    for files, value in (
        ({}, True),
        ({"/home/u/.codex/config.toml": off}, False),
        ({"/w/p/.codex/config.toml": off}, False),
    ):
        assert words_of(launch(["codex"], "proxy", {}, files)) == {"check_for_update_on_startup": value}
    for line in ("codex -c a=b", "codex --no-daemon", "codex resume --remote=ws://h", "codex -cmodel=x"):
        assert launch(line.split(), "proxy").arguments == ()


# -- the base-URL route


def test_claude_is_led_by_its_variable_and_by_a_flag_where_a_file_outranks_that() -> None:
    plain = launch(["claude"], "base-url")
    assert (plain.environment, plain.arguments) == ({"ANTHROPIC_BASE_URL": OWN}, ())
    assert plain.upstreams == {"": "https://api.anthropic.com"}
    files = {"/w/p/.claude/settings.json": json.dumps({"env": {"ANTHROPIC_BASE_URL": OTHER}})}
    moved = launch(["claude"], "base-url", {}, files)
    assert moved.upstreams == {"": OTHER}
    assert (moved.arguments[0], json.loads(moved.arguments[1])) == ("--settings", {"env": {"ANTHROPIC_BASE_URL": OWN}})
    with pytest.raises(UsageError, match="--settings"):
        launch(["claude", "--settings", "x.json"], "base-url", {}, files)


def test_codex_with_a_key_keeps_its_own_provider() -> None:
    settings = launch(["codex"], "base-url", {"CODEX_API_KEY": "k"})
    assert words_of(settings) == {"openai_base_url": f"{OWN}/openai"}
    assert settings.upstreams == {"openai": "https://api.openai.com/v1"}


def test_codex_with_a_login_gets_a_provider_that_does_not_ask_where_to_go() -> None:
    files = {"/home/u/.codex/auth.json": '{"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {}}'}
    settings = launch(["codex"], "base-url", {}, files)
    words = tomllib.loads("\n".join(word for word in settings.arguments if word != "-c"))
    assert words["model_provider"] == "tapes"
    assert words["model_providers"]["tapes"]["base_url"] == f"{OWN}/chatgpt"
    assert words["model_providers"]["tapes"]["requires_openai_auth"] is True
    assert settings.upstreams == {"chatgpt": "https://chatgpt.com/backend-api/codex"}


def test_codex_with_a_provider_of_the_users_is_led_where_that_stands_and_stays_it() -> None:
    files = {"/home/u/.codex/config.toml": f'model_provider = "mine"\n{CODEX_CONFIG}'}
    settings = launch(["codex"], "base-url", {}, files)
    said = [word for word in settings.arguments if word != "-c"]
    assert f'model_providers.mine.base_url="{OWN}/mine"' in said
    assert not any(word.startswith("model_provider=") for word in said)
    assert settings.upstreams["mine"] == "https://mine.example/v1"
    assert {OTHER, "https://work.example/v1"} <= set(settings.upstreams.values())


@pytest.mark.parametrize("line", [f"codex -c openai_base_url={OTHER}", f"aider --openai-api-base={OTHER}"])
def test_a_base_url_on_the_command_line_itself_is_refused_on_the_base_url_route(line: str) -> None:
    with pytest.raises(UsageError, match="outranks"):
        launch(line.split(), "base-url")


def test_opencode_gets_base_urls_beside_what_its_variable_holds_and_only_for_providers_in_use() -> None:
    environ = {"OPENAI_API_KEY": "k", "BOX": "box", "OPENCODE_CONFIG_CONTENT": '{"model": "m"}'}
    settings = launch(["opencode"], "base-url", environ, {"/w/p/opencode.json": OPENCODE_CONFIG})
    content = json.loads(settings.environment["OPENCODE_CONFIG_CONTENT"])
    assert content["model"] == "m"
    assert {name: provider["options"]["baseURL"] for name, provider in content["provider"].items()} == {
        name: f"{OWN}/{name}" for name in ("anthropic", "local", "openai")
    }
    assert settings.upstreams == {
        "anthropic": OTHER,
        "local": "http://box:1234/v1",
        "openai": "https://api.openai.com/v1",
    }


def test_opencodes_stored_keys_count_and_its_logins_do_not() -> None:
    stored = json.dumps({"google": {"type": "api", "key": "k"}, "anthropic": {"type": "oauth"}})
    settings = launch(["opencode"], "base-url", {}, {"/home/u/.local/share/opencode/auth.json": stored})
    assert settings.upstreams.keys() == {"google"}


def test_aider_gets_words_only_where_a_file_outranks_the_environment_and_keeps_the_files_own() -> None:
    assert launch(["aider"], "base-url").arguments == ()
    files = {"/w/p/.aider.conf.yml": f"set-env:\n  - OPENAI_API_BASE={OTHER}\n  - A=b\n"}
    settings = launch(["aider"], "base-url", {}, files)
    ours = settings.environment["OPENAI_API_BASE"]
    assert settings.upstreams[ours.rpartition("/")[2]] == OTHER
    pairs = dict(zip(settings.arguments[::2], settings.arguments[1::2], strict=True))
    assert pairs["--openai-api-base"] == ours
    assert [w for w in settings.arguments if w.startswith(("A=", "OPENAI_API_BASE="))] == [
        f"OPENAI_API_BASE={OTHER}",
        "A=b",
        f"OPENAI_API_BASE={ours}",
    ]


def test_any_program_is_led_by_the_variables_of_the_sdks_each_api_under_its_prefix() -> None:
    settings = launch(["python", "x.py"], "base-url", {"OPENAI_BASE_URL": OTHER})
    assert settings.environment["OPENAI_BASE_URL"] == settings.environment["OPENAI_API_BASE"] == f"{OWN}/openai"
    assert settings.environment["ANTHROPIC_BASE_URL"] == f"{OWN}/anthropic"
    assert settings.upstreams["openai"] == OTHER
    assert settings.upstreams["gemini"] == "https://generativelanguage.googleapis.com"
    assert "OLLAMA_HOST" not in settings.environment


def test_two_variables_that_disagree_each_keep_their_upstream() -> None:
    settings = launch(["mini"], "base-url", {"OPENAI_BASE_URL": "https://a.example", "OPENAI_API_BASE": OTHER})
    assert settings.environment["OPENAI_BASE_URL"] == f"{OWN}/openai"
    assert settings.environment["OPENAI_API_BASE"] == f"{OWN}/openai-2"
    assert (settings.upstreams["openai"], settings.upstreams["openai-2"]) == ("https://a.example", OTHER)


KEY = {"GEMINI_API_KEY": "k"}


def test_gemini_that_would_take_our_address_for_a_gateway_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError) as error:
        launch(["gemini"], "base-url", KEY)
    assert "/auth" in error.value.hint
    assert launch(["gemini"], "base-url", KEY | {"GOOGLE_GEMINI_BASE_URL": OTHER}).upstreams["gemini"] == OTHER
    vertex = KEY | {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_LOCATION": "europe-west1"}
    assert (
        launch(["gemini"], "base-url", vertex).upstreams["vertex"] == "https://europe-west1-aiplatform.googleapis.com"
    )


@pytest.mark.parametrize("path", ["/home/u/.gemini/settings.json", "/w/p/.gemini/settings.json"])
def test_gemini_whose_settings_say_how_it_signs_in_is_led_whichever_way_that_is(path: str) -> None:
    files = {path: '{"security": {"auth": {"selectedType": "oauth-personal"}}}'}
    settings = launch(["gemini"], "base-url", KEY, files)
    assert settings.environment["GOOGLE_GEMINI_BASE_URL"] == f"{OWN}/gemini"
    assert settings.environment["CODE_ASSIST_ENDPOINT"] == f"{OWN}/code-assist"


def test_gemini_without_a_key_still_asks_its_user() -> None:
    assert "GOOGLE_GEMINI_BASE_URL" not in launch(["gemini"], "base-url").environment


# -- small parts


def test_an_upstream_keeps_its_prefix_and_another_gets_a_number() -> None:
    bases = Bases(OWN)
    urls = ["https://a", "https://b", "https://a/", "https://c"]
    assert [bases.ours("p", url) for url in urls] == [f"{OWN}/{p}" for p in ("p", "p-2", "p", "p-3")]


def test_comments_and_commas_too_many_are_taken_away_outside_of_strings_only() -> None:
    assert table('{"a": "http://x/*y*/,}", /* z */ "b": [1,2,], // end\n}') == {"a": "http://x/*y*/,}", "b": [1, 2]}
    assert table("[1]") == table("") == table('{"a"') == {}


def test_a_dotenv_file_gives_its_assignments() -> None:
    text = "# A=1\nexport B = two\nC='th#ree'\nD=\"four\" # more\nE=\nnot one\n"
    assert dotenv(text) == {"B": "two", "C": "th#ree", "D": "four", "E": ""}
