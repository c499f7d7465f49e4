"""Whose session a request belongs to, where one proxy serves many agents.

Decided from headers alone, before anything is interpreted: the agent's own id on the wire, else the user name in the
proxy URL, else the one session of all that say nothing. A sub-agent with a session id of its own (OpenCode's) is led
to the session it came from. What has no request of its own (tunnels, telemetry that is counted) goes to the session
its user's calls went to, and waits until there is one: a session begins with its first exchange.
"""

from __future__ import annotations

import getpass
import logging
import re
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from tapes.archive.base import Archive, Draft
from tapes.errors import TapesError
from tapes.intake.opening import Facts
from tapes.intake.recording import Recording, Who
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.agents import AGENTS
from tapes.wire.exchange import Egress, Happening, Opened, PassedBy
from tapes.wire.redact import Redactor

IDLE_CLOSE_S = 30 * 60.0
REMEMBERED = 4096
"""Ids, users and sub-agents kept in mind; the ones seen longest ago are forgotten first."""
LONGEST_ID = 200
HELD = 1000
"""Tunnels and the like that wait for a session, of one person."""
SHOWN = 12

UNASSIGNED = Who("unassigned")

logger = logging.getLogger("tapes")


class Recent[K, V](OrderedDict[K, V]):
    """A dict that forgets what it has not been asked for longest."""

    def remember(self, key: K, value: V) -> V:
        """The value kept for `key`, which is `value` when there was none."""
        kept = self.setdefault(key, value)
        self.move_to_end(key)
        while len(self) > REMEMBERED:
            self.popitem(last=False)
        return kept


_KEY = re.compile(
    r"(sk|pk|rk)[-_]|AIza|AQ\.|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|ASIA|hf_|gsk_|xai-|pplx-|nvapi-|ya29\.|eyJ"
)
"""How keys begin that people have; whole ones are known to the redactor as well."""
REDACTED = "(redacted)"


def like_a_key(name: str) -> bool:
    return bool(_KEY.match(name))


@dataclass(slots=True)
class Persons:
    """Names the person behind a request. Only the event loop touches it."""

    redactor: Redactor = field(default_factory=Redactor)
    """A user name that it finds a secret in, or that begins as keys do, is replaced by a random one: a label and a line
    on the terminal are read by others."""
    _names: Recent[str, str] = field(default_factory=Recent)
    """By user name as it came, the one that is used."""
    _known: Recent[tuple[str, str, str], Who] = field(default_factory=Recent)
    """By kind, agent and id: a person stays the same whatever else a later request says."""
    _roots: Recent[tuple[str, str], str] = field(default_factory=Recent)
    """By agent and sub-agent, the session that it came from."""
    _latest: Recent[str, Who] = field(default_factory=Recent)
    """By user name, whose call came last; ids on the wire before all else."""

    def whose(self, headers: Mapping[str, str], user: str) -> Who:
        """By request headers (names in lower case) and the user name in the proxy URL; both may be empty."""
        user = self._named(user[:LONGEST_ID])
        if not headers:
            return self.placed(Who("user", id=user, user=user) if user else UNASSIGNED)
        agent = next((agent for agent in AGENTS if agent.speaks(headers)), None)
        identity = agent.identity(headers) if agent else None
        if agent and identity and identity.session and len(identity.session) <= LONGEST_ID:
            root = self._roots.get((agent.name, identity.session), identity.session)
            if identity.thread:
                self._roots.remember((agent.name, identity.thread), root)
            who = self._known.remember(("wire", agent.name, root), Who("wire", agent.name, root, user))
        elif user:
            latest = self._latest.get(user)
            if agent and latest and latest.kind == "wire" and latest.agent == agent.name:
                return latest  # a list of models, say, which belongs to no conversation
            name = agent.name if agent else hinted(user)
            who = self._known.remember(("user", "", user), Who("user", name, user, user))
        else:
            return UNASSIGNED
        if user and (who.kind == "wire" or user not in self._latest):
            self._latest.pop(user, None)
            self._latest.remember(user, who)
        return who

    def _named(self, user: str) -> str:
        if not user:
            return user
        known = self._names.get(user, user)
        if known == user and (like_a_key(user) or self.redactor.redact(user.encode("utf-8", "replace")).spans):
            known = f"{REDACTED} {secrets.token_hex(4)}"
        return self._names.remember(user, known)

    def placed(self, who: Who) -> Who:
        """Where something goes that only a user name was known of."""
        return self._latest.get(who.user, who) if who.kind == "user" else who


def hinted(user: str) -> str:
    """The agent that `tapes env` named a session after (`mini-3f2a`); empty when it did not."""
    return next((agent.name for agent in AGENTS if user.startswith(f"{agent.name}-")), "")


class Waiting:
    """The sink of a standing proxy: holds back what must not begin a session. Only the event loop puts."""

    def __init__(self, put: Callable[[Happening, Who], bool], persons: Persons) -> None:
        self._put = put
        self._persons = persons
        self._held: dict[Who, list[Happening]] = {}
        self._open: set[Who] = set()
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, happening: Happening, who: Who) -> bool:
        if isinstance(happening, Opened):
            with self._lock:
                self._open.add(who)
            taken = self._put(happening, who)
            for person in [p for p in self._held if self._persons.placed(p) == who]:
                self._release(person, who)
            return taken
        if isinstance(happening, Egress | PassedBy):
            who = self._persons.placed(who)
            if who not in self._open:
                return self._hold(happening, who)
        return self._put(happening, who)

    def closed(self, who: Who) -> None:
        """A session was closed. Any thread."""
        with self._lock:
            self._open.discard(who)

    def release_all(self) -> None:
        """The end: what still waits gets a session after all, for it may be all there is to see of an agent."""
        for person in list(self._held):
            self._release(person, self._persons.placed(person))

    def _hold(self, happening: Happening, who: Who) -> bool:
        held = self._held.setdefault(who, [])
        if len(held) >= HELD or len(self._held) > REMEMBERED:
            self.dropped += 1
            return False
        held.append(happening)
        return True

    def _release(self, person: Who, who: Who) -> None:
        for happening in self._held.pop(person):
            self._put(happening, who)


class Sessions:
    """Begins the sessions of a standing proxy. Only the writer's thread touches it."""

    def __init__(self, archive: Archive, redactor: Redactor, via: str) -> None:
        self._archive = archive
        self._redactor = redactor
        self._via = via
        self._host = socket.gethostname()
        self._user = getpass.getuser()
        self._earlier: dict[tuple[str, str], Digest | Draft] | None = None

    def begin(self, who: Who) -> Recording:
        """A session for a person not met before, or not since theirs was closed."""
        recording = Recording.begin(
            Facts(
                agent=who.agent or "generic",
                argv=(),
                cwd=b"",
                route=self._via,
                host=self._host,
                user=self._user,
                label=label(self._via, who),
                agent_session=who.id if who.kind == "wire" else "",
                proxy_user=who.user,
                continues=self._continued(who),
            ),
            self._redactor,
        )
        if who.kind == "wire":
            self._known()[who.agent, who.id] = recording.session
        return recording

    def _continued(self, who: Who) -> Digest | None:
        """The last session that this id had."""
        found = self._known().get((who.agent, who.id)) if who.kind == "wire" else None
        return found.hash if isinstance(found, Draft) else found

    def _known(self) -> dict[tuple[str, str], Digest | Draft]:
        """Sessions by agent and id: the archive's, read when the first id is met, and those begun since."""
        if self._earlier is None:
            self._earlier = dict(self._read())
        return self._earlier

    def _read(self) -> Iterator[tuple[tuple[str, str], Digest]]:
        for session in self._archive.sessions():
            try:
                body = self._archive.record(session).body
            except TapesError as error:
                logger.warning("session %s can not be read, so none is known to continue it: %s", session, error)
            else:
                if body.get("agent_session"):
                    yield (str(body["agent"]), str(body["agent_session"])), session


def label(via: str, who: Who) -> str:
    """How `tapes log` calls a session that has no name."""
    made_up = re.fullmatch(rf"{who.agent}-[0-9a-f]{{4}}", who.user)
    user = REDACTED if who.user.startswith(REDACTED) else who.user
    words = [user] if user and not (who.kind == "wire" and made_up) else []
    if who.kind == "wire":
        words.append(who.id if len(who.id) <= SHOWN + 1 else f"{who.id[:SHOWN]}…")
    return f"{via}: {' '.join(words) or 'unassigned'}"


def short(recording: Recording) -> str:
    """The session's hash, as other commands accept it."""
    session = recording.session
    digest = session if isinstance(session, Digest) else session.hash
    return digest.short() if digest else "(not written)"


def told(recording: Recording) -> str:
    """A session in one line."""
    summary = recording.summary
    partial = f", {summary.partial} partial" if summary.partial else ""
    failed = sum(summary.outcomes.get(name, 0) for name in ("http_error", "error_event", "no_response"))
    failures = f", {failed} failed" if failed else ""
    gaps = f"{summary.gaps} gaps" if summary.gaps else "no gaps"
    lost = f", {recording.lost.exchanges} exchanges could NOT be written" if recording.lost.exchanges else ""
    return (
        f"{summary.exchanges} exchanges captured ({summary.complete} complete{partial}{failures}), {gaps}, "
        f"{summary.tool_uses} tool calls{lost}"
    )
