"""Two model calls held against each other: parameters, tools, system text, messages; and what a cache could keep."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tapes.compare.context import Turns
from tapes.compare.masks import Masks
from tapes.compare.requests import Segment, segments
from tapes.compare.words import words
from tapes.errors import Damaged, NotFound
from tapes.session.linediff import Same, matches
from tapes_cli import output
from tapes_cli.diff_objects import difference_object
from tapes_cli.diff_parts import changed_words
from tapes_cli.diff_story import difference_lines

if TYPE_CHECKING:
    from tapes_cli.commands.diff import Asked

_MESSAGES = ("messages[", "input[", "contents[")
type Pair = tuple[Segment | None, Segment | None]


def same(found: Turns, sides: tuple[Asked, Asked], masks: Masks) -> bool:
    return not any(True for _ in _differing(sides, masks)) and all(one.masked for one in found.context.differences)


def lines(found: Turns, sides: tuple[Asked, Asked], masks: Masks) -> Iterator[str]:
    for side, asked, tokens, model in zip("AB", sides, found.tokens, found.models, strict=True):
        exchange = asked.run.found.calls.exchanges[asked.exchange]  # type: ignore[index]
        took = (
            f"{tokens.given} tokens in, {tokens.cache_read} of them from a cache, {tokens.output} out" if tokens else ""
        )
        said = [asked.text, exchange.hash.short(), model, exchange.outcome, output.wall(exchange.opened.wall_ns), took]
        text = " · ".join(word for word in said if word)
        yield output.styled(side, bold=True) + "  " + output.fit(output.harmless(text), output.width() - 3)
    yield ""
    yield from _cache_lines(found)
    yield ""
    told = [one for one in found.context.differences if not one.masked]
    if not told:
        yield "the same model, system text, tools and parameters"
    for one in told:
        yield from difference_lines(one)
    for unread in found.context.unread:
        yield output.styled(output.harmless(unread), fg="red")
    yield from ["", *_message_lines(sides, masks)]


def _cache_lines(found: Turns) -> Iterator[str]:
    parting = found.parting
    if parting is None:
        return
    if parting.whole:
        yield "prompt cache: the shorter request is the beginning of the longer one, all of it can be used"
    else:
        share = 100 * parting.same // max(1, min(parting.of))
        place = f"{output.harmless(parting.segment)}, character {parting.character}"
        yield output.styled(f"prompt cache: the same up to {place}", bold=True)
        of = f"{parting.of[0]} / {parting.of[1]} characters ({share} % of the shorter)"
        yield f"  {parting.same} of {of} come before it"
        yield from changed_words(parting.a, parting.b, most=4)
        other = found.masked
        if other is not None and (other.whole or other.segment != parting.segment):
            where = "all of the shorter one" if other.whole else f"up to {other.segment}"
            yield output.harmless(f"  but for directories, dates and ids the same: {where}")
    if found.models[0] != found.models[1]:
        yield output.harmless(f"  another model: {found.models[0]} / {found.models[1]}; caches are each model's own")
    late = abs(found.apart_ns)
    if late > 300e9:
        yield f"  asked {output.duration(late)} apart: a cache that is not used for 5 minutes may be gone"
    for side, tokens in zip("AB", found.tokens, strict=True):
        if tokens is not None:
            written = tokens.cache_write_5m + tokens.cache_write_1h
            said = f"{tokens.cache_read} tokens read from a cache, {written} written to one, {tokens.input} neither"
            yield f"  {side}: {said}"


def _message_lines(sides: tuple[Asked, Asked], masks: Masks) -> Iterator[str]:
    count = [sum(one.name.startswith(_MESSAGES) for one in _segments(side)) for side in sides]
    differing = list(_differing(sides, masks))
    yield output.styled(f"messages: {count[0]} / {count[1]}, {len(differing)} differ", bold=bool(differing))
    for a, b in differing:
        if a is not None and b is not None:
            yield output.styled(output.harmless(f"| {a.name} / {b.name}"), fg="yellow")
            yield from changed_words(a.text, b.text, most=6)
        else:
            sign, colour, one = ("<", "red", a) if a is not None else (">", "green", b)
            assert one is not None
            yield output.styled(output.fit(output.harmless(f"{sign} {one.name} {one.text}"), output.width()), fg=colour)


def _segments(side: Asked) -> list[Segment]:
    exchange = side.run.found.calls.exchanges[side.exchange]  # type: ignore[index]
    try:
        return segments(side.run.archive.body(exchange.request)) if exchange.request else []
    except (Damaged, NotFound):
        return []


def _differing(sides: tuple[Asked, Asked], masks: Masks) -> Iterator[Pair]:
    """Messages that are not the same in more than what is masked."""
    ours, theirs = ([one for one in _segments(side) if one.name.startswith(_MESSAGES)] for side in sides)
    x = y = 0
    told = [[masks.output(one.text) for one in some] for some in (ours, theirs)]
    for same in [*matches(told[0], told[1]), Same(len(ours), len(theirs), 0)]:
        yield from zip_longest(ours[x : same.old], theirs[y : same.new])
        x, y = same.old + same.size, same.new + same.size


def objects(found: Turns, sides: tuple[Asked, Asked], masks: Masks) -> Iterator[dict[str, Any]]:
    for side, asked, tokens, model in zip("ab", sides, found.tokens, found.models, strict=True):
        exchange = asked.run.found.calls.exchanges[asked.exchange]  # type: ignore[index]
        yield {
            "part": "call",
            "side": side,
            "ref": asked.text,
            "exchange": exchange.hash.hex(),
            "session": asked.run.session.hex(),
            "model": model or None,
            "outcome": exchange.outcome,
            "time": output.iso(exchange.opened.wall_ns),
            "tokens_in": tokens.given if tokens else None,
            "cache_read": tokens.cache_read if tokens else None,
            "cache_write": tokens.cache_write_5m + tokens.cache_write_1h if tokens else None,
            "tokens_out": tokens.output if tokens else None,
        }
    if found.parting is not None:
        parting = found.parting
        yield {
            "part": "cache",
            "whole": parting.whole,
            "segment": parting.segment or None,
            "character": parting.character,
            "same_characters": parting.same,
            "masked_segment": found.masked.segment or None if found.masked else None,
            "characters": list(parting.of),
            "a": parting.a,
            "b": parting.b,
            "apart_us": found.apart_ns // 1000,
        }
    for one in found.context.differences:
        yield {"part": "context", **difference_object(one)}
    for a, b in _differing(sides, masks):
        yield {
            "part": "message",
            "a": a.name if a else None,
            "b": b.name if b else None,
            "a_text": a.text if a else None,
            "b_text": b.text if b else None,
            "words": [list(piece) for piece in words(a.text, b.text)] if a and b else None,
        }
    yield {"part": "result", "same": same(found, sides, masks)}
