"""Bytes of a terminal to what they ask for: text, control characters, escape sequences and strings.

Fed in any slices it tells the same, and it keeps little between two of them: an unfinished sequence up to a few
hundred characters, an unfinished string (OSC, DCS …) up to `KEPT`; what is longer is still read to its end and then
cut. A malformed sequence is dropped up to the character that spoils it. Bytes are UTF-8; others become U+FFFD. The
eight-bit control characters are no controls in UTF-8 terminals, nor here.

Sources: ECMA-48; the xterm control sequences document; the state machine of Paul Williams' DEC parser, of which this
is less: a control character inside a sequence ends it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Literal

KEPT = 4096
"""Characters kept of a string."""

_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]{0,256})([ -/]{0,8})([@-~])|([ -/]{0,8})([0-Z\\-~]))")
_BEGUN = re.compile(r"\x1b(?:\[[0-?]{0,256}[ -/]{0,8}|[ -/]{0,8})")
_STRING_ENDS = {"]": re.compile(r"[\x07\x18\x1a\x1b]")}
_OTHER_STRING_ENDS = re.compile(r"[\x18\x1a\x1b]")
_STRINGS = frozenset("]PX^_")
"""ESC and one of these begins an OSC, DCS, SOS, PM or APC string."""


type Said = tuple[Literal["text", "control", "csi", "escape", "osc"], str, str]
"""One thing that a terminal was told, and what it is about: text, the control character, the parameters of a CSI (with
its private marker), an OSC's content; then, of a CSI or escape, its intermediate characters and its final one."""


class Parser:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        """Of a sequence that has not ended."""
        self._string = ""
        """The kind of string we are in, or empty."""
        self._content = ""

    def feed(self, data: bytes) -> Iterator[Said]:
        """What these bytes complete. MUST be read to its end before the next call."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at, end = 0, len(text)
        while at < end:
            if self._string:
                at = self._through_string(text, at)
                if not self._string and self._content:
                    yield "osc", self._content, ""
                    self._content = ""
            elif (run := _TEXT.match(text, at)) is not None:
                yield "text", run[0], ""
                at = run.end()
            elif text[at] != "\x1b":
                yield "control", text[at], ""
                at += 1
            elif (found := _SEQUENCE.match(text, at)) is not None:
                at = found.end()
                if found[3]:
                    yield "csi", found[1], found[2] + found[3]
                elif found[5] in _STRINGS and not found[4]:
                    self._string, self._content = found[5], ""
                else:
                    yield "escape", "", found[4] + found[5]
            else:
                begun = _BEGUN.match(text, at)
                assert begun is not None  # it begins with ESC
                if begun.end() == end:
                    self._rest = text[at:]
                    return
                at = begun.end()

    def _through_string(self, text: str, at: int) -> int:
        """Read on in a string; where to go on behind what was read. Of strings only an OSC's content is kept."""
        ends = _STRING_ENDS.get(self._string, _OTHER_STRING_ENDS).search(text, at)
        to = ends.start() if ends else len(text)
        if self._string == "]":
            self._content += text[at : min(to, at + KEPT - len(self._content))]
        if ends is None:
            return to
        self._string = ""
        if ends[0] in "\x18\x1a":
            self._content = ""
        # ESC ends it and begins a sequence of its own: of ESC \ that is one without effect.
        return to if ends[0] == "\x1b" else to + 1

    def state(self) -> list[object]:
        """What is kept between two slices, as plain values."""
        waiting, flag = self._decoder.getstate()
        return [waiting, flag, self._rest, self._string, self._content]

    def set_state(self, state: list[object]) -> None:
        waiting, flag, self._rest, self._string, self._content = state  # type: ignore[assignment]
        self._decoder.setstate((waiting, flag))  # type: ignore[arg-type]
