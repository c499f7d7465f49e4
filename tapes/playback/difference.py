"""Where two requests part, for a person: the first place at which their normal forms differ, the conversation first."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tapes.playback.normal import HISTORY
from tapes.values import dataclass
from tapes.wire.json_value import Json

_BEFORE, _AFTER = 24, 56
"""Characters shown around the first that differs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` is a path in the body (`messages[3].content[0].text`); the texts are what stands there, shortened."""

    where: str
    recorded: str
    asked: str

    def __str__(self) -> str:
        return f"at {self.where or 'its beginning'}: recorded {self.recorded}, asked {self.asked}"


def difference(recorded: Json, asked: Json) -> Difference | None:
    """The first; None where there is none."""
    return next(_parts(recorded, asked, ""), None)


def _parts(then: Json, now: Json, where: str) -> Iterator[Difference]:
    if isinstance(then, dict) and isinstance(now, dict):
        keys = sorted({*then, *now}, key=lambda key: (key not in HISTORY, key != "model", key))
        for key in keys:
            inner = f"{where}.{key}" if where else key
            if key not in now:
                yield Difference(inner, _short(then[key]), "nothing")
            elif key not in then:
                yield Difference(inner, "nothing", _short(now[key]))
            else:
                yield from _parts(then[key], now[key], inner)
    elif isinstance(then, list) and isinstance(now, list):
        for n, (a, b) in enumerate(zip(then, now, strict=False)):
            yield from _parts(a, b, f"{where}[{n}]")
        n = min(len(then), len(now))
        if len(then) > n:
            yield Difference(f"{where}[{n}]", f"{_short(then[n])} ({len(then)} in all)", f"no more than {n}")
        elif len(now) > n:
            yield Difference(f"{where}[{n}]", f"no more than {n}", f"{_short(now[n])} ({len(now)} in all)")
    elif isinstance(then, str) and isinstance(now, str):
        if then != now:
            at = next((n for n, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
            yield Difference(where, _around(then, at), _around(now, at))
    elif then != now or type(then) is not type(now):
        yield Difference(where, _short(then), _short(now))


def _around(text: str, at: int) -> str:
    start = max(0, at - _BEFORE)
    shown = text[start : at + _AFTER]
    return json.dumps(("…" if start else "") + shown + ("…" if len(text) > at + _AFTER else ""), ensure_ascii=False)


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _BEFORE + _AFTER else f"{text[: _BEFORE + _AFTER]}…"
