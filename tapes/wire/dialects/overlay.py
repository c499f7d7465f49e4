"""Several tellings of one JSON object as one: for streams that say everything again, each time a little more."""

from __future__ import annotations

from tapes.wire.turns import Json


def laid(under: dict[str, Json], over: dict[str, Json]) -> dict[str, Json]:
    """`over` laid over `under`, with what only one of them has. The later value counts, null says nothing; lists are
    laid over each other entry by entry.
    """
    made = dict(under)
    for name, value in over.items():
        made[name] = _over(under[name], value) if name in under else value
    return made


def _over(under: Json, over: Json) -> Json:
    if isinstance(under, dict) and isinstance(over, dict):
        return laid(under, over)
    if isinstance(under, list) and isinstance(over, list):
        shared = [_over(a, b) for a, b in zip(under, over, strict=False)]
        return [*shared, *under[len(shared) :], *over[len(shared) :]]
    return under if over is None else over
