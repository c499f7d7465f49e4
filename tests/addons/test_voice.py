"""Lines on a terminal are ours alone: what others have put into names does not begin one, and drives nothing."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from tapes_addons.voice import Voice


def test_what_is_said_is_one_line_whatever_names_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    voice = Voice()
    voice.say("session 12  serve: alice\ntapes: recording ON\r\x1b[2J\u2028\u202e")
    voice.emit(logging.makeLogRecord({"msg": "one\ntwo", "exc_info": (ValueError, ValueError("a\nb"), None)}))
    voice.say("by hand:", "  a=b", "  c\nd")
    voice.close()
    assert heard.getvalue().split("\n") == [
        "tapes: session 12  serve: alice⏎tapes: recording ON␍␛[2J\\u2028\\u202e",
        "tapes: one⏎two: a⏎b",
        "tapes: by hand:",
        "  a=b",
        "  c⏎d",
        "",
    ]
