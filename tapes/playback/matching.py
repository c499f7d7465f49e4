"""Which recorded exchange a request is given. Each is given away once, the first that fits first.

A request fits one that had the very same body; else one with the same normal form, when what makes runs differ is
taken away; else, once it has been learned from the nearest one what the directories are now, with these. Where none
does, numbers in what tools gave back may differ (sizes, times, addresses: what they are is not known), and the order of
its lines, and that is told. Of several that fit it is the first in the order of the recording: so a retry gets what the
retry got.

Where all that fit were given, a model call is refused, for the recording knows no further answer (an agent that runs in
circles should not go on for ever); lists of models, token counts and handshakes may be asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tapes.errors import Damaged, NotFound
from tapes.playback.difference import Difference, difference
from tapes.playback.normal import Form, Marks, Reader, fits, marks
from tapes.playback.places import Places
from tapes.playback.recorded import Answer, Kind, Recorded, operation
from tapes.playback.rewriting import rewritten
from tapes.record.digest import Digest, blob_digest
from tapes.values import dataclass, field
from tapes.wire.json_value import Json

_NEAREST = 3
"""So many requests are looked at closely where none has the same form."""
_KINDS = 6
_SHORTEST_ID = 7


@dataclass(frozen=True, slots=True)
class Given:
    """A recorded exchange and its answer, in the words of today."""

    recorded: Recorded
    answer: Answer
    how: str
    """`exact`; `alike`; `counted`: but for numbers in what tools gave back, or for the order of its lines; `lenient`;
    `again`."""
    difference: Difference | None = None
    """What was overlooked: of `counted` and `lenient`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No answer."""

    cls: str
    reason: str
    nearest: Recorded | None = None
    difference: Difference | None = None
    behind: bool = False
    """All model calls of the recording had been given: this one goes on where the recording ends."""


@dataclass(slots=True)
class _Group:
    """The exchanges of one operation."""

    members: list[int] = field(default_factory=list)
    read: int = 0
    """So many of them have marks."""
    by_whole: dict[int, list[int]] = field(default_factory=dict)
    by_counted: dict[int, list[int]] = field(default_factory=dict)
    by_calls: dict[int, list[int]] = field(default_factory=dict)

    def add(self, n: int, own: Marks) -> None:
        for known, one in ((self.by_whole, own.whole), (self.by_counted, own.counted), (self.by_calls, own.calls)):
            known.setdefault(one, []).append(n)

    def forget(self) -> None:
        self.read = 0
        for known in (self.by_whole, self.by_counted, self.by_calls):
            known.clear()


class Tape:
    """A recording that is played. Not to be shared between threads.

    `places`: the directories that were and are. `lenient`: what tools answered may differ. `repeat`: a request that
    has had all its answers gets the last of them again.
    """

    def __init__(
        self, recorded: Sequence[Recorded], places: Places, *, lenient: bool = False, repeat: bool = False
    ) -> None:
        self.recorded = recorded
        self.places = places
        self.given: set[int] = set()
        self.ids: dict[str, str] = {}
        """Ids of the recording, and what today's run has in their place."""
        self._lenient, self._repeat = lenient, repeat
        self._reader = Reader(places.named)
        self._marks: dict[int, Marks] = {}
        self._known: dict[int, int] = {}
        self._groups: dict[tuple[str, str, str], _Group] = {}
        self._by_hash: dict[tuple[tuple[str, str, str], Digest | None], list[int]] = {}
        for n, one in enumerate(recorded):
            self._groups.setdefault(one.operation, _Group()).members.append(n)
            self._by_hash.setdefault((one.operation, one.hash), []).append(n)

    @property
    def left(self) -> list[Recorded]:
        """Model calls that nobody has asked for."""
        return [one for n, one in enumerate(self.recorded) if n not in self.given and one.cls == "model"]

    def ask(self, kind: Kind, method: str, url: str, body: bytes, cls: str = "model") -> Given | Refused:
        """The answer to a request. Its body is decoded, and redacted as those of a recording are; `cls` is what one is
        that the recording has nothing like.

        Raises Withheld, Damaged and NotFound where a recorded body can not be read.
        """
        wanted = operation(kind, method, url)
        group = self._groups.get(wanted)
        if group is None:
            kinds = ", ".join(sorted({f"{how} …/{word}" for how, word, _ in self._groups})[:_KINDS])
            return Refused(cls, f"the recording has no call of this kind, but {kinds}")
        cls = self.recorded[group.members[0]].cls  # by a table of its own, perhaps
        same = self._by_hash.get((wanted, blob_digest(body) if body else None), [])
        free = self._free(same)
        if free is not None:
            return self._give(free, "exact")
        form = self._reader.form(body)
        own = marks(form)
        found = self._alike(group, own)
        while found is None and self._learned(group, body, own):
            form = self._reader.form(body)
            own = marks(form)
            found = self._alike(group, own)
        if found is not None:
            self._learn_ids(self._form(found), form)
            return self._give(found, "alike")
        if (found := self._behind_markers(group, own, form)) is not None:
            return self._give(found, "alike")
        ways = [("counted", group.by_counted.get(own.counted, []))]
        if self._lenient:
            ways.append(("lenient", group.by_calls.get(own.calls, [])))
        for how, alike in ways:
            if (found := self._free(alike)) is not None:
                recorded = self._form(found)
                return self._give(found, how, difference(recorded.tree, form.tree))
        had = same or group.by_whole.get(own.whole, [])
        if had and (self._repeat or self.recorded[had[-1]].cls != "model"):
            return self._give(had[-1], "again")
        if had:
            last = self.recorded[had[-1]]
            times = "once" if len(had) == 1 else f"{len(had)} times"
            return Refused(cls, f"it was made {times} in the recording, and has had its answer", last)
        return self._refuse(group, form, own, cls)

    def _form(self, n: int) -> Form:
        """Of a recorded request. Raises Withheld, Damaged and NotFound."""
        return self._reader.form(self.recorded[n].request())

    def _free(self, numbers: Iterable[int]) -> int | None:
        return next((n for n in numbers if n not in self.given), None)

    def _give(self, n: int, how: str, overlooked: Difference | None = None) -> Given:
        self.given.add(n)
        one = self.recorded[n]
        changes = {**self.places.moved, **self.ids}
        answer = rewritten(one.answer(), changes, messages=one.kind == "turn")
        return Given(one, answer, how, overlooked)

    def _alike(self, group: _Group, own: Marks) -> int | None:
        """The first that is free and has the same normal form; before others one of the same agent, where the client
        tells of agents."""
        while True:
            free = [n for n in group.by_whole.get(own.whole, []) if n not in self.given]
            same = next((n for n in free if self._marks[n].client == own.client), None)
            if same is not None or not self._read_on(group):
                return same if same is not None else next(iter(free), None)

    def _read_on(self, group: _Group) -> bool:
        """Read the next of the recorded requests; whether there was one."""
        if group.read == len(group.members):
            return False
        n = group.members[group.read]
        group.read += 1
        try:
            read = self._form(n)
        except (Damaged, NotFound):
            return True  # it can only be asked for byte by byte
        own = self._marks[n] = self._shared(marks(read))
        group.add(n, own)
        return True

    def _shared(self, own: Marks) -> Marks:
        """The same with marks of entries that are known already: a session of N calls repeats N² entries."""
        return replace(own, items=tuple(self._known.setdefault(item, item) for item in own.items))

    def _near(self, group: _Group, own: Marks) -> list[int]:
        """The recorded requests that have most in common with one, those that are free first."""

        def common(n: int) -> tuple[int, bool, int]:
            theirs = self._marks[n].items
            same = next((i for i, (a, b) in enumerate(zip(theirs, own.items, strict=False)) if a != b), None)
            most = min(len(theirs), len(own.items)) if same is None else same
            return most, n not in self.given, -abs(len(theirs) - len(own.items))

        return sorted((n for n in group.members if n in self._marks), key=common, reverse=True)

    def _behind_markers(self, group: _Group, own: Marks, form: Form) -> int | None:
        """One of the nearest that is free and the same but for what was redacted in it."""
        near = [n for n in self._near(group, own)[:_NEAREST] if n not in self.given]
        trees = ((n, self._form(n).tree) for n in near)
        return next((n for n, tree in trees if fits(tree, form.tree)), None)

    def _learned(self, group: _Group, body: bytes, own: Marks) -> bool:
        """Whether the nearest requests tell of new directories."""
        if all(name in self.places.new for name in self.places.old):
            return False
        now = list(_texts(Reader(str).form(body).tree))
        learned = False
        for n in self._near(group, own)[:_NEAREST]:
            then = list(_texts(Reader(str).form(self.recorded[n].request()).tree))
            learned = self.places.learn(then, now) or learned
        if learned:  # all forms are others now
            self._reader = Reader(self.places.named)
            for one in self._groups.values():
                one.forget()
        return learned

    def _learn_ids(self, then: Form, now: Form) -> None:
        for old, new in zip(then.found, now.found, strict=False):
            if old.kind != "id" or old.text == new.text or len(old.text) < _SHORTEST_ID or old.text.isdecimal():
                continue  # a few digits may be anything
            self.ids[old.text] = new.text

    def _refuse(self, group: _Group, form: Form, own: Marks, cls: str) -> Refused:
        near = self._near(group, own)
        if not near:
            return Refused(cls, "none of the recorded requests of its kind can be read", behind=not self.left)
        n = near[0]
        nearest = self.recorded[n]
        parts = difference(self._form(n).tree, form.tree)
        hint = "" if self.left else ", which is over: all its model calls have been given"
        if not self._lenient and self._free(group.by_calls.get(own.calls, [])) is not None:
            hint = "; only what tools gave back differs (--lenient takes that)"
        return Refused(cls, f"it is not in the recording{hint}", nearest, parts, behind=not self.left)


def _texts(tree: Json) -> Iterable[str]:
    """All texts of a form, in its order."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for inner in tree:
            yield from _texts(inner)
    elif isinstance(tree, dict):
        for key in sorted(tree):
            yield from _texts(tree[key])
