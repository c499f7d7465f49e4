"""What differs between two runs of the same agent at the same task, found in texts: ids, dates, times, ports.

Found out by running each agent twice (docs/playback.md lists them). A mask is only as wide as needed: what a tool
said must stay comparable, so plain numbers are left alone. Each is a kind: what stands for an `id` in one run can be
put for the other's into an answer, dates and durations can not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AP]M)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-]\d{2}:?\d{2})(?![A-Za-z]))?"

_KINDS = (
    # 01890a5d-ac96-774b-bcce-b302099a8057, also behind msg_ and the like
    (
        "id",
        r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])",
    ),
    # opencode's: a time and a random word
    ("id", r"(?<![A-Za-z0-9])(?:ses|msg|prt|per|que|wrk|tool)_[0-9a-f]{10,12}[0-9A-Za-z]{10,16}(?![0-9A-Za-z])"),
    # made up by Gemini CLI: NAME_MILLISECONDS_N
    ("id", r"(?<=_)1[6-9]\d{11}(?:_\d+)?(?!\d)"),
    # 2026-11-21T13:25:01.123Z
    ("date", r"(?<![\d-])\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]" + _CLOCK + _ZONE + r")?(?!\d)"),
    # Saturday, November 21, 2026 · Sat Nov 21 13:25:01 UTC 2026 · Nov 21 13:25 · Nov 21  2025
    (
        "date",
        rf"\b(?:{_DAY},? +)?{_MONTH} +\d{{1,2}}(?:st|nd|rd|th)?(?!\d)"
        rf"(?:,? +(?:{_CLOCK}{_ZONE}(?: +\d{{4}}(?!\d))?|\d{{4}}(?!\d)))?"
        rf"(?:,? +(?:at +)?{_CLOCK}{_ZONE})?",
    ),
    # Sat, 21 Nov 2026 13:25:01 GMT
    ("date", rf"\b(?:{_DAY},? +)?\d{{1,2}} {_MONTH} \d{{4}}(?!\d)(?: +{_CLOCK}{_ZONE})?"),
    ("date", r"(?<![\d/])\d{1,2}/\d{1,2}/\d{4}(?!\d)(?:,? +" + _CLOCK + r")?"),
    ("date", r"(?<![\d:.])\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?: ?[AP]M)?(?![\d:])"),
    # seconds, milliseconds, nanoseconds since 1970
    ("date", r"(?<![\d.])[12]\d{9}(?:\d{3}|\d{6}|\d{9}|\.\d{1,9})?(?![\d.]\d|\d)"),
    ("took", r"(?<![\w.])\d{1,6}(?:\.\d{1,9})? ?(?:ns|us|µs|ms|s|secs?|seconds?|milliseconds?)\b"),
    ("took", r"(?<=duration_ms: )\d+|(?<=\"wall_time_seconds\":)[\d.e-]+|(?<=\"duration_seconds\":)[\d.e-]+"),
    ("id", r"(?<=\"chunk_id\":\")[0-9a-f]+|(?<=Chunk ID: )[0-9a-f]+"),
    ("number", r"(?<=token count: )\d+|(?<=PGID: )\d+|(?<=PIDs: )[\d, ]+"),
    (
        "number",
        r"(?<=PID: )\d+|(?<=PID )\d+|(?<=pid )\d+|(?<=pid=)\d+|(?<=pid: )\d+",
    ),
    ("port", r"(?<=127\.0\.0\.1:)\d{2,5}\b|(?<=localhost:)\d{2,5}\b|(?<=\[::1\]:)\d{2,5}\b"),
    # names of background tasks, and of files that Claude Code puts long results into
    ("id", r"(?<=/tool-results/)[\w-]{4,64}|(?<=/tasks/)[a-z0-9]{6,32}(?=\.output)"),
    ("id", r"(?<=with ID: )[\w-]{4,40}|(?<=agentId: )[\w-]{4,40}|(?<=task_id>)[\w-]{4,40}|(?<=shell ID: )[\w-]{4,40}"),
    # a commit at the beginning of a line may be all digits
    ("id", r"(?m:^)[0-9a-f]{7,40}(?= \S)"),
    # commits, digests, Claude's agent ids: letters and digits, or a digest's length
    (
        "id",
        r"(?<![0-9A-Za-z])(?=[a-f]{0,40}[0-9])(?=[0-9]{0,40}[a-f])[0-9a-f]{7,128}(?![0-9A-Za-z])",
    ),
    ("id", r"(?<=/tmp/tmp)[\w]{6,12}|(?<=/tmp/tmp\.)[\w]{6,12}"),
    # ls -l: of a directory all but its name, of a file what is not about its content
    ("number", r"(?<![\w-])d[rwxsStT-]{9}[.+@]? +\d+ +\S+ +\S+ +\d+(?= )"),
    ("number", r"(?<![\w-])[-lcbps][rwxsStT-]{9}[.+@]? +\d+ +\S+ +\S+(?= +\d)"),
    ("number", r"\btotal \d+(?= *(?:\n|$))"),
    ("number", r"\b0x[0-9a-f]{6,16}\b"),
    # of the recorder itself, in what `env` says, and the directory of a run
    ("number", r"(?m:^TAPES_[A-Z_]+=.*$)|(?<=_PID=)\d+"),
    ("id", r"(?<=/run/)\d+-[0-9a-f]{8}(?![0-9a-f])"),
)
_MASK = re.compile("|".join(f"(?P<m{n}>{pattern})" for n, (_, pattern) in enumerate(_KINDS)))
_KIND = {f"m{n}": kind for n, (kind, _) in enumerate(_KINDS)}


class Found(NamedTuple):
    """Something that a mask covers."""

    kind: str
    text: str


def masked(text: str) -> tuple[str, tuple[Found, ...]]:
    """The text with a word in place of all that varies, and what stood there, in order."""
    found: list[Found] = []

    def mask(match: re.Match[str]) -> str:
        kind = _KIND[match.lastgroup or ""]
        found.append(Found(kind, match[0]))
        return f"<{kind}>"

    return _MASK.sub(mask, text), tuple(found)
