"""Pictures of screens, kept in `pictures/` and compared: what Textual draws, without fonts, links and chance ids.

On a difference the new picture lies in the test's own folder, and the failure tells in words what moved on the screen.
With TAPES_NEW_PICTURES=1 the kept ones are written anew: look at each before you commit it.
"""

from __future__ import annotations

import difflib
import html
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
from rich.cells import cell_len

PICTURES = Path(__file__).with_name("pictures")
REWRITE = "TAPES_NEW_PICTURES"
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_ENDS = re.compile(r"<text [^>]*>\n</text>")
"""Of lines, which Rich draws as text of a cell behind the last one."""
_CLIPS = re.compile(r'<clipPath id="deck-line-\d+">\s*<rect [^>]*/>\s*</clipPath>| clip-path="url\(#deck-line-\d+\)"')
"""Of lines, none of which is wider than the screen: a third of a picture."""
_LENGTH = re.compile(r'(<text [^>]*?textLength=")[\d.]+("[^>]*>)(.*?)(?=</text>)', re.DOTALL)
_ID = re.compile(r"terminal-\d+")
_TEXT = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', re.DOTALL)
_CELL, _ROW = 12.2, 24.4
"""Size of a cell, as Rich draws it."""


def plain(svg: str) -> str:
    """The same picture, the same each time, and asking no network for a font."""
    svg = _CLIPS.sub("", _ENDS.sub("", _ID.sub("deck", _FONTS.sub("", svg))))
    svg = svg.replace("<!-- Generated with Rich https://www.textualize.io -->", "")
    svg = _LENGTH.sub(lambda found: f"{found[1]}{_cells(found[3]) * _CELL:g}{found[2]}{found[3]}", svg)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def _cells(said: str) -> int:
    """Rich counts characters, and so squeezes the wide ones."""
    return cell_len(html.unescape(said))


def words(svg: str) -> list[str]:
    """The lines that a person reads in it."""
    rows: dict[float, list[tuple[float, str]]] = defaultdict(list)
    for x, y, said in _TEXT.findall(svg):
        rows[float(y)].append((float(x), html.unescape(said).replace("\xa0", " ")))
    lines = []
    for _, pieces in sorted(rows.items()):
        line = ""
        for x, said in sorted(pieces):
            line += " " * (round(x / _CELL) - cell_len(line)) + said
        lines.append(line.rstrip())
    return lines


def compare(svg: str, name: str, intent: str, folder: Path) -> None:
    """Fail unless it is the picture that is kept as `name`."""
    svg = plain(svg)
    path = PICTURES / f"{name}.svg"
    if os.environ.get(REWRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, "utf-8")
        return
    kept = path.read_text("utf-8") if path.exists() else ""
    if kept == svg:
        return
    new = folder / path.name
    new.write_text(svg, "utf-8")
    before, after = words(kept), words(svg)
    told = list(difflib.unified_diff(before, after, "kept", "now", lineterm="", n=1)) or _restyled(kept, svg)
    pytest.fail(
        f"the picture {name} is not as it was. It is to show: {intent}\n"
        f"  kept: {path}{'' if kept else ' (not there yet)'}\n  now:  {new}\n"
        f"  when it is right: {REWRITE}=1\n" + "\n".join(told),
        pytrace=False,
    )


def _restyled(kept: str, now: str) -> list[str]:
    """All words stand where they stood: it is colours or attributes, and on which rows."""
    changed = difflib.unified_diff(kept.splitlines(), now.splitlines(), n=0, lineterm="")
    rows = sorted({round(float(y) / _ROW) for line in changed for y in re.findall(r'\by="([\d.]+)"', line)})
    return [f"the words are the same; how they look has changed{f', on rows {rows}' if rows else ' (rules of style)'}"]
