"""What was asked, what ran, and what the model was told: held against each other.

A verdict is an accusation, and so it is made only of what was seen. Where a side is missing for a reason that is ours
(an answer that was not recorded in full, output that was dropped, a join that a crash has cost) there is none, and
`why` says what is missing.

- *matched*: it was asked for, it ran, and nothing that can be compared differs;
- *rewritten*: what ran is another line than was asked for;
- *denied*: it was kept from running, by a person, a rule, a sandbox or a mode;
- *not-witnessed*: it was asked for, and nobody saw it run;
- *not-requested*: it ran, and no call asked for it;
- *result-differs*: the model was told something else than came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tapes.archive.base import Archive
from tapes.record.kinds import Record
from tapes.session.agreement import Agreement, same_line, same_output
from tapes.session.asking import UNREADABLE, Asking
from tapes.session.calls import Calls
from tapes.session.commands import Command, Judgement, Ran, pieces
from tapes.session.exchanges import Exchange
from tapes.wire.shells.base import Told

VERDICTS = ("matched", "rewritten", "denied", "not-witnessed", "not-requested", "result-differs")
_NOT_ASKED = {"human": "a person's own", "harness": "the agent's own housekeeping"}
COMPARED_MAX = 8_000_000
"""Bytes of output that are compared; no agent hands its model more."""
CUT = frozenset({"partial", "error_event", "aborted", "capture_lost", "open"})
"""Outcomes of exchanges whose answer may have asked for more than was recorded."""


class Judge:
    """Judges the commands of one session, each in the light of the others."""

    def __init__(
        self,
        archive: Archive,
        records: Sequence[Record],
        calls: Calls,
        asking: Asking,
        commands: Sequence[Command],
    ) -> None:
        self._archive, self._calls, self._asking = archive, calls, asking
        opening = next((record.body for record in records if record.type == "session.open"), {})
        self._level = opening.get("witness", {}).get("level", "")
        self._closed = any(record.type == "session.close" for record in records)
        self._gaps = [record for record in records if record.type == "gap"]
        # A WebSocket's handshake is open as long as its connection; its turns are exchanges of their own.
        self._exchanges = [e for e in calls.exchanges.values() if e.body["class"] == "model" and e.status != 101]
        self._last_word = max((r.seq for r in records if r.type in ("exchange.open", "tool.result")), default=0)
        self._witnessed = Counter(c.participant.kind for c in commands if c.ran)
        self._asked = Counter(c.call.agent for c in commands if c.call and c.asked)
        self._loose = [c for c in commands if c.asked and c.ran is None]
        self._strays = [c for c in commands if c.ran and c.call is None]
        self._inexact = [c for c in commands if c.ran and c.asked and c.told and not c.exact]

    def judge(self, command: Command) -> Judgement:
        if command.ran is None:
            return self._unseen(command)
        if command.participant.kind != "agent":
            return Judgement(why=_NOT_ASKED.get(command.participant.kind, ""))
        if command.asked is None:
            return self._unasked(command, command.ran)
        return self._held(command, command.ran)

    # -- asked for, and ran

    def _held(self, command: Command, ran: Ran) -> Judgement:
        assert command.asked is not None and command.call is not None
        verdicts: list[tuple[str, str]] = []
        compared = ["line"] if ran.line else []
        if ran.line and not same_line(command.asked.line, ran.line):
            verdicts.append(("rewritten", "another line ran than was asked for"))
        told = self._asking.told(command.call) if command.told else None
        if command.decision is not None and not command.decision.allowed and not (told and told.denied):
            verdicts.insert(0, ("denied", f"by {kind_of(command.decision.by)}, and it ran all the same"))
        if told is not None and told.denied:
            verdicts.insert(0, _denied_and_ran(command, told))
        elif told is not None:
            exit_ = same_exit(told, ran)
            compared += ["exit"] if exit_ is not None else []
            output = self._output(command, told)
            compared += ["output"] if output != "unknown" else []
            wrong = [] if exit_ in (None, True) else [f"the model was told {_told(told)}, and it {_ended(ran)}"]
            wrong += ["the model was told another output than it wrote"] if output == "differs" else []
            if wrong:
                verdicts.insert(0, ("result-differs", "; ".join(wrong)))
        if not verdicts:
            return Judgement("matched", "" if command.told else _untold(command), compared=tuple(compared))
        why = "; ".join(reason for _, reason in verdicts)
        also = tuple(verdict for verdict, _ in verdicts[1:])
        return Judgement(verdicts[0][0], why, also, told.denied if told else "", tuple(compared))

    def _output(self, command: Command, told: Told) -> Agreement:
        assert command.ran is not None and command.call is not None
        found = self._compare(command.ran, told)
        whole = self._asking.told(command.call, whole=True) if found == "differs" else None
        if whole and self._compare(command.ran, whole) == "same":
            return "same"
        if found != "differs" or command.exact:
            return found
        # Of commands alike that were not joined exactly, one may have been told what came of the other.
        others = [c.call for c in self._inexact if c.call and c.asked and same_line(c.asked.line, command.ran.line)]
        tellings = [self._asking.told(call) for call in others]
        return "unknown" if any(t and self._compare(command.ran, t) != "differs" for t in tellings) else found

    def _compare(self, ran: Ran, told: Told) -> Agreement:
        if told.output is None or told.running or not _has_output(ran):
            return "unknown"
        # Reading the output takes time, and what came of it changes with its records alone.
        key = "compared", ran.start, ran.end_hash, len(ran.outputs), told
        found = self._calls.once(key, lambda: self._held_against(ran, told, told.output or ""))
        return "unknown" if found == "differs" and self._interrupted(ran) else found

    def _held_against(self, ran: Ran, told: Told, output: str) -> Agreement:
        late = bool(ran.end and ran.end.body.get("open")) or any(r.body.get("after") for _, r in ran.outputs)
        long = sum(ran.counts.values()) > COMPARED_MAX
        try:
            produced = list(pieces(self._archive, ran, COMPARED_MAX))
        except UNREADABLE:
            return "unknown"
        partial = told.shortened or told.timed_out or bool(told.denied) or late or long
        return same_output(output, produced, partial=partial)

    def _interrupted(self, ran: Ran) -> bool:
        """Was the recording lost for a time while it ran? Some of its output may have been read, and not kept."""
        end_ns = ran.end.wall_ns if ran.end else ran.at.wall_ns
        return any(
            gap.body.get("since_ns", end_ns + 1) <= end_ns and gap.wall_ns >= ran.at.wall_ns for gap in self._gaps
        )

    # -- ran, and nothing is joined to it

    def _unasked(self, command: Command, ran: Ran) -> Judgement:
        if command.outer is not None:
            return Judgement(why="ran within another command")
        if command.call is not None:
            if not command.call.claims or not all(claim.certain for claim in command.call.claims):
                return Judgement("matched", "run by the program that the call is")
            return Judgement("not-requested", "the call asked for another command, which ran as well")
        if not command.line:
            return Judgement(why="not known: its beginning was not reported")
        if command.method:
            return Judgement(why="what asked for it is withheld or damaged")
        if any(same_line(c.asked.line, ran.line) for c in self._loose if c.asked):
            return Judgement(why="not joined: a call asked for this line")
        if not self._asking.marked(command.participant.name) and not self._asked[command.participant.name]:
            return Judgement(why="not known: how this agent asks for commands")
        missing = self._unheard(command)
        return Judgement(why=f"not known: {missing}") if missing else Judgement("not-requested", "no call asked for it")

    def _unheard(self, command: Command) -> str:
        """Why what asked for it may have been said and not been heard."""
        if self._asking.unread:
            return "some of what was asked for is withheld or damaged"
        before = [e for e in self._exchanges if e.opened.wall_ns <= command.wall_ns]
        if any(e.end is None for e in before):
            return "an answer was not recorded to its end" if self._closed else "an answer is still on its way"
        if not self._closed and command.seq > self._last_word:
            return "what asked for it may still be written down"
        last = max(before, key=_ended_at, default=None)
        if any(e.outcome in CUT for e in before if e is last or _ended_at(e) >= command.wall_ns):
            return "the answer before it was not recorded in full"
        if _within(self._gaps, command.wall_ns, ("exchanges", "items")):
            return "part of what was said at that time was not recorded"
        return ""

    # -- asked for, and not seen to run

    def _unseen(self, command: Command) -> Judgement:
        assert command.call is not None and command.asked is not None
        told = self._asking.told(command.call)
        decision = command.decision
        if decision is not None and not decision.allowed:
            by = kind_of(decision.by) + (f" ({decision.by})" if decision.by else "")
            return Judgement("denied", f"by {by}", denied_by=decision.by)
        if told is not None and told.denied:
            return Judgement("denied", f"by {_KINDS.get(told.denied, told.denied)}", denied_by=told.denied)
        if any(c.ran and same_line(command.asked.line, c.ran.line) for c in self._strays):
            return Judgement(why="not joined: this line ran")
        return Judgement("not-witnessed", self._why_unseen(command, told))

    def _why_unseen(self, command: Command, told: Told | None) -> str:
        call = command.call
        assert call is not None
        if self._level == "none":
            return "this run witnessed no commands (--no-witness)"
        if not self._witnessed["agent"] and not self._witnessed["harness"]:
            return "nothing that the agent ran was witnessed in this session"
        if call.record.body.get("source") == "request":
            return "it was asked for before this recording saw it"
        if _within(self._gaps, call.record.wall_ns, ("commands", "frames", "bytes"), call.result):
            return "reports of commands were lost at that time"
        if call.result is None:
            return "no result either: it may not have begun" + ("" if self._closed else " yet")
        if not self._asking.marked(call.agent):
            return "this agent does not mark its commands: it may have run where no shell reports"
        if told is not None and told.running:
            return "it is said to go on in the background"
        return "no trace of it"


def same_exit(told: Told, ran: Ran) -> bool | None:
    """None where one side does not say. A shell tells a signal as 128 + n, Python as -n: both are true."""
    if ran.end is None or told.timed_out or told.running:
        return None
    status, signal = ran.end.body["status"], ran.end.body["signal"]
    if status is None and signal is None:
        return None
    said = told.signal
    if said is None and told.status is None:
        return None
    if said is None and told.status is not None and told.status < 0:
        said = -told.status
    if said is not None:
        return bool(said == signal or status == 128 + said)
    return bool(told.status == (128 + signal if signal else status))


def kind_of(by: str) -> str:
    """Agents have their own words for who decided."""
    return next((kind for word, kind in _WORDS if word in by.lower()), "somebody who is not named")


_KINDS = {"person": "a person", "rule": "a rule", "sandbox": "a sandbox", "mode": "the permission mode"} | {
    "unknown": "somebody who is not named"
}
_WORDS = tuple(
    (word, kind)
    for kind, words in {
        "a sandbox": ("sandbox", "seatbelt", "landlock"),
        "a rule": ("config", "rule", "hook", "policy", "settings"),
        "the permission mode": ("mode", "plan", "auto", "never"),
        "a person": ("user", "person", "human", "approver"),
    }.items()
    for word in words
)


def _denied_and_ran(command: Command, told: Told) -> tuple[str, str]:
    by = _KINDS.get(told.denied, told.denied)
    ran = command.ran
    assert ran is not None
    if told.denied == "sandbox":
        return "denied", f"by {by}, in which it ran"
    if ran.end is None or command.signal or (command.status or 0) > 128:
        return "denied", f"by {by}, when it had begun"
    return "result-differs", f"the model was told that {by} kept it from running, and it ran"


def _untold(command: Command) -> str:
    call = command.call
    assert call is not None
    if call.claims and not all(claim.certain for claim in call.claims):
        return "run by the program that the call is"
    return "told together with others of the same call"


def _has_output(ran: Ran) -> bool:
    if ran.end is None or ran.end.body.get("dropped") or ran.said("tty") or ran.said("level") != "supervisor":
        return False
    end = ran.end.body
    return bool(ran.outputs or end.get("head")) or not any(ran.counts.values())


def _told(told: Told) -> str:
    return f"signal {told.signal}" if told.signal is not None else f"exit {told.status}"


def _ended(ran: Ran) -> str:
    assert ran.end is not None
    signal = ran.end.body["signal"]
    return f"died of signal {signal}" if signal else f"ended with exit {ran.end.body['status']}"


def _ended_at(exchange: Exchange) -> int:
    return exchange.end.wall_ns if exchange.end else exchange.opened.wall_ns


def _within(gaps: Iterable[Record], wall_ns: int, of: Sequence[str], until: Record | None = None) -> bool:
    """Was any of this lost then? A gap that does not say since when may have been open all the time."""
    return any(
        any(gap.body.get(key) for key in of)
        and gap.body.get("since_ns", 0) <= (until.wall_ns if until else wall_ns)
        and gap.wall_ns >= wall_ns
        for gap in gaps
    )
