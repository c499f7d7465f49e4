"""The user's configuration: what it may say, and that nothing malformed passes for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.errors import UsageError
from tapes.wire.endpoints import Row, classify, is_model_host
from tapes_cli.config import Config, config_path, load_config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAPES_HOME", str(tmp_path))
    return tmp_path


def config(home: Path, text: str | bytes) -> Config:
    data = text.encode() if isinstance(text, str) else text
    (home / "config.toml").write_bytes(data)
    return load_config(home)


def endpoint(**changed: str | None) -> str:
    fields = {"host": '"llm.example.test"', "path": '"generate"', "provider": '"gemini"', "class": '"model"'}
    lines = [f"{key} = {value}" for key, value in (fields | changed).items() if value is not None]
    return "\n".join(["[[endpoint]]", *lines, ""])


def test_hosts_and_endpoints_are_what_capture_asks_for(home: Path) -> None:
    found = config(
        home,
        'model_hosts = ["LLM.example.test", "*.corp.example:8443", "[::1]:4000", "::2"]\n'
        + endpoint(method='"post"', path="'v\\d+/(ask|tell)'")
        + endpoint(host='"*"', **{"class": '"none"'}),
    )
    assert found.rows == (
        Row("llm.example.test", "POST", r"v\d+/(ask|tell)", "gemini", "model"),
        Row("*", "*", "generate", "gemini", None),
    )
    for host, port, yes in [
        ("llm.example.test", 1, True),
        ("a.corp.example", 8443, True),
        ("a.corp.example", 443, False),
        ("::1", 4000, True),
        ("::1", 4001, False),
        ("::2", 9, True),
    ]:
        assert is_model_host(host, port, found.model_hosts) is yes, host
    asked = classify("POST", "llm.example.test", "/x/v2/tell", found.model_hosts, found.rows)
    assert (asked.provider, asked.cls) == ("gemini", "model")


def test_the_example_in_the_manual_is_right(home: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    found = config(home, manual.partition("```toml\n")[2].partition("```")[0])
    assert found.model_hosts and found.rows
    assert classify("POST", "llm.example.test", "/v2/generate", user_rows=found.rows).cls == "model"


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "\ufeffmodel_hosts = []\n"])
def test_no_file_and_an_empty_one_say_nothing(home: Path, text: str | None) -> None:
    assert (load_config(home) if text is None else config(home, text)) == Config()


def test_without_a_home_of_its_own_it_is_in_the_platforms_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config_path(home) == home / "config.toml"
    monkeypatch.delenv("TAPES_HOME")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    elsewhere = config_path(home / "data")
    assert elsewhere.name == "config.toml" and elsewhere.parent.name == "tapes"
    assert (home / "data") not in elsewhere.parents


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_hosts = [", "no TOML"),
        (b"# \xff\n", "no TOML"),
        ("model_host = []", "'model_host' is unknown"),
        ('model_hosts = "h"', "model_hosts: no list"),
        ("model_hosts = [1]", "model_hosts 1: 1 is no text"),
        ('model_hosts = ["a", ""]', "model_hosts 2: '' is no text"),
        ('model_hosts = ["https://a.b"]', "model_hosts 1: 'https://a.b' is no host"),
        ('model_hosts = ["a.b/v1"]', "is no host"),
        ('model_hosts = ["a b"]', "is no host"),
        ('model_hosts = ["a:70000"]', "is no host"),
        ('model_hosts = ["a:http"]', "is no host"),
        ('model_hosts = ["a:\u00b2"]', "is no host"),
        ('model_hosts = ["a:' + "9" * 5000 + '"]', "is no host"),
        ('model_hosts = ["a\\u0130.b"]', "is no host"),
        ('model_hosts = ["*"]', "model_hosts 1: every host would be decrypted"),
        ('model_hosts = ["*.*:443"]', "every host would be decrypted"),
        ("endpoint = 3", "endpoint: no list"),
        ("[endpoint]\nhost = 'x'", "endpoint: no list"),
        ("endpoint = [3]", "endpoint 1: 3 is no table"),
        (endpoint() + endpoint(clas='"x"'), "endpoint 2: 'clas' is unknown"),
        (endpoint(host=None), "endpoint 1: host is missing"),
        (endpoint(**{"class": None}), "endpoint 1: class is missing"),
        (endpoint(host='"h:80"'), "endpoint 1: host: 'h:80' has a port"),
        (endpoint(method='"GET POST"'), "endpoint 1: method: 'GET POST' is no method"),
        (endpoint(provider='"gemnii"'), "endpoint 1: provider: 'gemnii' is none of them"),
        (endpoint(**{"class": '"modell"'}), "endpoint 1: class: 'modell' is none of them"),
        (endpoint(**{"class": "1"}), "endpoint 1: class: 1 is no text"),
        (endpoint(path='"a("'), "endpoint 1: path: 'a(' is no regular expression"),
        (endpoint(path='"a)|(b"'), "endpoint 1: path: 'a)|(b' is no regular expression"),
        (endpoint(path='"(?i)a"'), "endpoint 1: path: '(?i)a' is no regular expression"),
        (endpoint(path='"v1/"'), "endpoint 1: path: 'v1/' ends with a slash"),
    ],
)
def test_what_is_malformed_is_refused_with_file_key_and_advice(home: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        config(home, text)
    assert str(caught.value).startswith(f"{home / 'config.toml'}: ")
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_file_that_can_not_be_read_is_no_missing_file(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(UsageError, match=r"config\.toml: can not be read"):
        load_config(home)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=30) | st.sampled_from(["a = " + "[" * 5000, "[" * 5000]), inside=st.booleans())
def test_any_text_is_a_configuration_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, inside: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAPES_HOME", str(folder))
        try:
            config(folder, (f"model_hosts = ['{text}']" if inside else text).encode("utf-8", "replace"))
        except UsageError as error:
            assert error.hint
