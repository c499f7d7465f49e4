"""Each dialect against the contract, and how one is chosen."""

from __future__ import annotations

import pytest

from contract.dialect_suite import DialectSuite
from tapes.wire import dialects


class TestAnthropic(DialectSuite):
    name = "anthropic"


class TestOpenAIChat(DialectSuite):
    name = "openai-chat"


class TestOpenAIResponses(DialectSuite):
    name = "openai-responses"


class TestOllama(DialectSuite):
    name = "ollama"


class TestGemini(DialectSuite):
    name = "gemini"


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("POST", "https://api.anthropic.com/v1/messages?beta=true", "anthropic"),
        ("POST", "http://127.0.0.1:4000/v1/messages/count_tokens", "anthropic"),
        ("POST", "https://gateway.invalid/a/b/v1/messages/", "anthropic"),
        (
            "POST",
            "https://eu-aiplatform.googleapis.com/v1/projects/p/publishers/anthropic/models/m@1:streamRawPredict",
            "anthropic",
        ),
        ("POST", "https://api.openai.com/v1/chat/completions", "openai-chat"),
        ("POST", "http://127.0.0.1:8080/chat/completions", "openai-chat"),
        (
            "POST",
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-01-01",
            "openai-chat",
        ),
        ("POST", "https://api.openai.com/v1/responses", "openai-responses"),
        ("GET", "https://chatgpt.com/backend-api/codex/responses", "openai-responses"),
        ("POST", "https://chatgpt.com/backend-api/codex/responses/compact", "openai-responses"),
        ("POST", "https://r.openai.azure.com/openai/responses?api-version=2025-04-01", "openai-responses"),
        ("POST", "http://127.0.0.1:4000/v1/responses/input_tokens", "openai-responses"),
        ("GET", "https://api.openai.com/v1/responses/resp_1", "raw"),
        ("POST", "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse", "gemini"),
        ("POST", "http://127.0.0.1:4000/v1beta/models/g:countTokens", "gemini"),
        ("POST", "https://eu-aiplatform.googleapis.com/v1/x/publishers/google/models/g:generateContent", "gemini"),
        ("POST", "https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent?alt=sse", "gemini"),
        ("POST", "https://generativelanguage.googleapis.com/v1beta/models/g:embedContent", "raw"),
        ("POST", "http://127.0.0.1:11434/api/chat", "ollama"),
        ("POST", "https://gateway.invalid/ollama/api/generate", "ollama"),
        ("POST", "http://127.0.0.1:11434/v1/chat/completions", "openai-chat"),
        ("POST", "https://api.openai.invalid/v9/unheard/of", "raw"),
        ("DELETE", "https://api.anthropic.com/v1/messages", "raw"),
        ("GET", "nonsense", "raw"),
    ],
)
def test_the_surest_dialect_is_chosen_and_raw_when_there_is_none(method: str, url: str, name: str) -> None:
    assert dialects.choose_url(method, url).name == name


def test_the_raw_dialect_gives_the_text_back() -> None:
    raw = dialects.by_name("raw")
    assert raw.read_request(b"anything \xff").messages[0].blocks[0].raw == "anything \ufffd"  # type: ignore[union-attr]
    reader = raw.response_reader(200, "")
    reader.feed(b"some")
    reader.feed(b"thing")
    message = reader.finish().message
    assert message is not None and message.blocks[0].raw == "something"  # type: ignore[union-attr]


def test_every_dialect_has_a_name_of_its_own() -> None:
    names = [dialect.name for dialect in dialects.DIALECTS]
    assert len(set(names)) == len(names)
