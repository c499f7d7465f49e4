"""Which hosts are decrypted, and what is stored of their traffic."""

from __future__ import annotations

import re

import pytest

from tapes.wire.endpoints import (
    LOCAL_MODEL_HOSTS,
    MODEL_HOSTS,
    ROWS,
    Row,
    allow_host_patterns,
    classify,
    is_model_host,
)
from tapes.wire.outcome import ENDINGS

CALLS = [
    ("POST", "api.anthropic.com", "/v1/messages?beta=true", "anthropic", "model"),
    ("POST", "api.anthropic.com", "/v1/messages/count_tokens", "anthropic", "count_tokens"),
    ("GET", "api.anthropic.com", "/v1/models?limit=3", "anthropic", "models"),
    ("GET", "api.anthropic.com", "/v1/models/claude-x", "anthropic", "models"),
    ("POST", "api.anthropic.com", "/v1/messages/batches", "anthropic", "other"),
    ("POST", "api.anthropic.com", "/v1/files", "anthropic", "other"),
    ("POST", "api.openai.com", "/v1/responses", "openai-responses", "model"),
    ("POST", "api.openai.com", "/v1/chat/completions", "openai-chat", "model"),
    ("POST", "api.openai.com", "/v1/completions", "raw", "model"),
    ("POST", "api.openai.com", "/v1/embeddings", "raw", "other"),
    ("GET", "api.openai.com", "/v1/models", "raw", "models"),
    ("POST", "chatgpt.com", "/backend-api/codex/responses", "openai-responses", "model"),
    ("POST", "chatgpt.com", "/backend-api/codex/responses/compact", "openai-responses", "model"),
    ("GET", "chatgpt.com", "/backend-api/codex/models?client_version=1", "raw", "models"),
    ("POST", "generativelanguage.googleapis.com", "/v1beta/models/g:streamGenerateContent?alt=sse", "gemini", "model"),
    ("POST", "generativelanguage.googleapis.com", "/v1beta/models/g:countTokens", "gemini", "count_tokens"),
    ("POST", "cloudcode-pa.googleapis.com", "/v1internal:streamGenerateContent", "gemini", "model"),
    ("POST", "eu-aiplatform.googleapis.com", "/v1/publishers/anthropic/models/c:rawPredict", "anthropic", "model"),
    ("POST", "aiplatform.googleapis.com", "/v1/x/publishers/google/models/g:generateContent", "gemini", "model"),
    ("POST", "aiplatform.googleapis.com", "/v1/projects/p/endpoints/7:streamGenerateContent", "gemini", "model"),
    ("POST", "gateway.invalid", "/v1beta/tunedModels/t:generateContent", "gemini", "model"),
    ("GET", "generativelanguage.googleapis.com", "/ws/google.ai.x.v1beta.X.BidiGenerateContent", "raw", "other"),
    ("GET", "chatgpt.com", "/backend-api/codex/responses", "openai-responses", "other"),
    ("GET", "api.openai.com", "/v1/realtime?model=m", "raw", "other"),
    ("GET", "me.openai.azure.com", "/openai/realtime?deployment=d", "raw", "other"),
    ("POST", "bedrock-runtime.eu-west-1.amazonaws.com", "/model/eu.anthropic.claude-x/invoke", "anthropic", "model"),
    ("POST", "bedrock-runtime.eu-west-1.amazonaws.com", "/model/eu.anthropic.claude-x/converse-stream", "raw", "model"),
    ("POST", "me.openai.azure.com", "/openai/deployments/d/chat/completions?api-version=1", "openai-chat", "model"),
    ("POST", "me.services.ai.azure.com", "/anthropic/v1/messages", "anthropic", "model"),
    ("POST", "openrouter.ai", "/api/v1/chat/completions", "openai-chat", "model"),
    ("POST", "api.groq.com", "/openai/v1/chat/completions", "openai-chat", "model"),
    ("POST", "api.deepseek.com", "/chat/completions", "openai-chat", "model"),
    ("POST", "api.githubcopilot.com", "/chat/completions", "openai-chat", "model"),
    ("GET", "api.githubcopilot.com", "/models", "raw", "models"),
    ("POST", "api.cohere.com", "/v2/chat", "raw", "model"),
    ("POST", "localhost", "/api/chat", "ollama", "model"),
    ("POST", "127.0.0.1", "//v1//messages/", "anthropic", "model"),
    ("POST", "gateway.invalid", "/team/anthropic/v1/messages", "anthropic", "model"),
    ("POST", "gateway.invalid", "/v1/something/new", "raw", "other"),
]  # fmt: skip

NOT_STORED = [
    ("POST", "api.anthropic.com", "/api/event_logging/v2/batch"),
    ("POST", "api.anthropic.com", "/api/eval/sdk-x"),
    ("GET", "api.anthropic.com", "/api/claude_code/settings"),
    ("GET", "api.anthropic.com", "/api/claude_code/policy_limits"),
    ("GET", "api.anthropic.com", "/api/claude_cli/bootstrap?model=x"),
    ("GET", "api.anthropic.com", "/mcp-registry/v0/servers?limit=100"),
    ("GET", "api.anthropic.com", "/api/oauth/profile"),
    ("POST", "api.anthropic.com", "/v1/oauth/token"),
    ("HEAD", "api.anthropic.com", "/"),
    ("HEAD", "gateway.invalid", "/"),
    ("OPTIONS", "api.anthropic.com", "/v1/messages"),
    ("POST", "api.anthropic.com", "/api/chat"),
    ("GET", "chatgpt.com", "/backend-api/wham/accounts/check"),
    ("POST", "cloudcode-pa.googleapis.com", "/v1internal:loadCodeAssist"),
]


@pytest.mark.parametrize(("method", "host", "path", "provider", "cls"), CALLS)
def test_a_call_is_classified_by_the_end_of_its_path(
    method: str, host: str, path: str, provider: str, cls: str
) -> None:
    endpoint = classify(method, host, path)
    assert (endpoint.provider, endpoint.cls) == (provider, cls)


@pytest.mark.parametrize(("method", "host", "path"), NOT_STORED)
def test_what_is_no_model_call_is_not_stored(method: str, host: str, path: str) -> None:
    assert classify(method, host, path).cls is None


@pytest.mark.parametrize(
    ("host", "port", "decrypted"),
    [
        ("api.anthropic.com", 443, True),
        ("API.Anthropic.COM.", 8443, True),
        ("us-east5-aiplatform.googleapis.com", 443, True),
        ("bedrock-runtime.us-east-1.amazonaws.com", 443, True),
        ("localhost", 11434, True),
        ("::1", 11434, True),
        ("localhost", 11435, False),
        ("example.invalid", 443, False),
        ("api.anthropic.com.evil.invalid", 443, False),
        ("xapi.anthropic.com", 443, False),
        ("apixanthropic.com", 443, False),
        ("s3.us-east-1.amazonaws.com", 443, False),
        ("openai.azure.com", 443, False),
        ("github.com", 443, False),
    ],
)
def test_only_model_hosts_are_decrypted(host: str, port: int, decrypted: bool) -> None:
    assert is_model_host(host, port) is decrypted
    name = f"{host.strip('.').lower()}:{port}"
    assert any(re.search(pattern, name) for pattern in allow_host_patterns()) is decrypted


@pytest.mark.parametrize(
    ("extra", "host", "port", "decrypted"),
    [
        ("gw.invalid", "gw.invalid", 9, True),
        ("gw.invalid:8443", "gw.invalid", 8443, True),
        ("gw.invalid:8443", "gw.invalid", 443, False),
        ("*.corp.invalid", "a.b.corp.invalid", 443, True),
        ("*.corp.invalid", "corp.invalid", 443, False),
        ("[::1]:4000", "::1", 4000, True),
        ("::1", "::1", 5, True),
        ("127.0.0.1:4000", "127x0.0.1", 4000, False),
        ("", "anything.invalid", 443, False),
    ],
)
def test_a_host_that_the_user_names_is_a_model_host(extra: str, host: str, port: int, decrypted: bool) -> None:
    assert is_model_host(host, port, [extra]) is decrypted


def test_a_listed_host_that_the_user_names_may_speak_anything() -> None:
    assert classify("POST", "api.mistral.ai", "/api/chat").cls is None
    assert classify("POST", "api.mistral.ai", "/api/chat", ["api.mistral.ai:443"]).provider == "ollama"


MINE = (
    Row("llm.invalid", "POST", "generate", "openai-chat", "model"),
    Row("*.corp.invalid", "*", "/api/v2/ask", "gemini", "model"),
    Row("api.openai.com", "GET", "v1/models", "raw", None),
    Row("::1", "*", "chat/completions", "raw", "other"),
    Row("*", "*", "secret/.*", "raw", None),
)


@pytest.mark.parametrize(
    ("method", "host", "path", "provider", "cls"),
    [
        ("POST", "llm.invalid", "/any/prefix/generate?x=1", "openai-chat", "model"),
        ("post", "LLM.invalid.", "/generate/", "openai-chat", "model"),
        ("GET", "llm.invalid", "/generate", "raw", None),
        ("POST", "llm.invalid", "/regenerate", "raw", None),
        ("POST", "other.invalid", "/generate", "raw", None),
        ("POST", "a.b.corp.invalid", "/api/v2/ask", "gemini", "model"),
        ("POST", "a.corp.invalid", "/prefix/api/v2/ask", "raw", None),
        ("POST", "corp.invalid", "/api/v2/ask", "raw", "other"),
        ("GET", "api.openai.com", "/v1/models", "raw", None),
        ("GET", "api.groq.com", "/v1/models", "raw", "models"),
        ("POST", "::1", "/v1/chat/completions", "raw", "other"),
        ("POST", "::2", "/v1/secret/chat/completions", "raw", None),
        ("POST", "llm.invalid", "/v1/messages", "anthropic", "model"),
    ],
)
def test_rows_of_the_users_own_come_first_and_hold_on_their_hosts(
    method: str, host: str, path: str, provider: str, cls: str | None
) -> None:
    endpoint = classify(method, host, path, user_rows=MINE)
    assert (endpoint.provider, endpoint.cls) == (provider, cls)


def test_the_tables_hold_what_they_claim() -> None:
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in allow_host_patterns())
    assert len(set(MODEL_HOSTS)) == len(MODEL_HOSTS)
    assert all(":" not in host for host in MODEL_HOSTS) and all(":" in host for host in LOCAL_MODEL_HOSTS)
    assert {row.cls for row in ROWS} == {"model", "count_tokens", "models", "other", None}
    assert {row.provider for row in ROWS} == set(ENDINGS) | {"raw"}
