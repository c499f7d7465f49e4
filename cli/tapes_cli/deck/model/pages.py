"""The tabs of a step, as documents. What has to be read for one is read as the document is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tapes.archive.base import Archive
from tapes.session.calls import Calls
from tapes.session.view import Step, View
from tapes_cli.deck.model import context, wire_pages
from tapes_cli.deck.model.document import UNREADABLE, Block, Document
from tapes_cli.deck.model.outline import STYLES
from tapes_cli.deck.model.styled import Line, styled
from tapes_cli.step_page import Changes, Page, Section, about, title
from tapes_cli.story import ACTION_ICONS, ICONS, Story

TABS = ("read", "request", "response", "record", "context")

LARGEST = 1 << 20
"""Characters of a call's input that is still told field by field."""
LONGEST = 200
"""Characters of another step's line."""
WORDS = {"thinking": "italic", "reminder": "dim", "error": "error", "gap": "error", "withheld": "dim"}
"""Styles of a step's own words, where they are not plain."""


class _Later:
    """What steps did to files, found out when a page has come to it. What can not be read is said there: the rest of
    the page is behind it."""

    def __init__(self, changed: Callable[[], Changes | None]) -> None:
        self._changed = changed

    def section(self, step: Step) -> list[str]:
        try:
            found = self._changed()
            return found.section(step) if found else []
        except UNREADABLE as error:
            return [f"can not be read: {error}"]


def with_own_calls(archive: Archive, view: View) -> View:
    """For a worker: the readings of the view itself are those of whoever reads the session, and stay in memory."""
    return replace(view, calls=Calls(archive, view.calls.exchanges))


def page(
    tab: str,
    archive: Archive,
    view: View,
    steps: Sequence[Step],
    step: Step,
    *,
    changed: Callable[[], Changes | None] = lambda: None,
    raw: bool = False,
) -> Document:
    """One tab of a step. `raw`: bodies, inputs and records byte for byte instead of in a form to read. `steps` are all
    of `view`; `changed` finds out what they did to files, which takes a while. Reads nothing itself: the document does,
    in whatever thread asks it for more. ValueError for a tab that there is not."""
    own = with_own_calls(archive, view)
    match tab:
        case "read":
            return Document(_read(Page(archive, own, steps, step, _Later(changed)), step, raw))
        case "request":
            return Document(wire_pages.request(archive, own, step, raw))
        case "response":
            return Document(wire_pages.response(archive, own, step, raw))
        case "record":
            return Document(wire_pages.record(archive, own, step, raw))
        case "context":
            return Document(context.blocks(archive, own, step))
        case _:
            raise ValueError(f"a step has no tab {tab!r}")


def _read(found: Page, step: Step, raw: bool) -> Iterator[Block]:
    lines = [styled(title(step, step.hash.short()), f"bold {STYLES[step.type]}".rstrip()), styled(about(step), "dim")]
    text = arguments(step.text) if step.type == "tool.use" and not raw else iter((step.text,))
    yield Block(lines=[*lines, *(styled(line, "dim") for line in found.origin()), ()])
    yield Block(text=text, style=WORDS.get(step.type, ""))
    for section in found.sections():
        yield _block(section, found.story)


def _block(section: Section, story: Story) -> Block:
    named = Block(section.title, failed=section.failed)
    if section.steps:
        return replace(named, lines=[line_of(step, story) for step in section.steps])
    if section.text is not None:
        return replace(named, text=(section.text,), diff=section.diff)
    if section.output is not None:
        return replace(named, text=section.output, size=section.size, empty="(none)")
    return replace(named, lines=[styled(line, "error" if section.unread else "") for line in section.lines])


def line_of(step: Step, story: Story) -> Line:
    """A step in a line of another one's page."""
    icon = "✗" if step.failed else ACTION_ICONS.get(step.facts.get("action", ""), ICONS[step.type])
    style = "error" if step.failed else STYLES[step.type]
    brief = story.brief(step)
    said = brief if len(brief) <= LONGEST else f"{brief[:LONGEST]}…"
    return (*styled(f"{step.number:>4} ", "dim"), *styled(f"{icon} {said}", style))


def arguments(text: str) -> Iterator[str]:
    """The input of a call field by field, texts of several lines as they are; what is no object of JSON, or is huge,
    unchanged."""
    table = None
    if text.startswith("{") and len(text) <= LARGEST:
        with contextlib.suppress(ValueError, RecursionError):  # no JSON: it is shown as it is
            table = json.loads(text)
    if not isinstance(table, dict) or not table:
        yield text
        return
    for name, value in table.items():
        said = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        yield f"{name}:\n{said}\n" if "\n" in said else f"{name}: {said}\n"
