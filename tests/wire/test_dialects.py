"""Each dialect against the contract, and how one is chosen."""

from __future__ import annotations

import pytest

from contract.dialect_suite import DialectSuite
from tapes.wire import dialects


class TestAnthropic(DialectSuite):
    name = "anthropic"


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
