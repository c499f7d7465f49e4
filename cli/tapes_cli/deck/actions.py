"""All that can be done in the deck, on one page: keys are data.

The bindings of every screen and widget, the help page, the command palette and the tables of docs/deck.md are made from
these rows. An action of the place `session` is the method `action_<name>` of the class that says
`BINDINGS = bindings("session")`; a test holds that all of them are there.
"""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding
from textual.keys import format_key

from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    on: str
    """Where it can be done: one of PLACES."""
    name: str
    """The method without `action_`; with its arguments, where it has some."""
    keys: tuple[str, ...]
    """As Textual names keys; the first is the one that is shown."""
    says: str
    """In a word or two, for the line of keys and the palette."""
    help: str
    """In a sentence."""
    shown: bool = False
    """In the line of keys."""

    @property
    def id(self) -> str:
        return f"{self.on}.{self.name}"


PLACES = {
    "deck": "Everywhere",
    "rows": "In every list",
    "reader": "In a long text",
    "help": "Help",
    "dialog": "In a dialog",
    "choice": "In a choice of a few words",
    "marks": "In the list of marks",
    "breaks": "In the list of breaks",
    "box": "In a box to type in",
    "sessions": "Sessions",
    "tape": "In a session, on every screen of it",
    "timeline": "Timeline",
    "commands": "Commands",
    "files": "Files",
    "terminal": "Terminal",
    "compare": "Compare",
    "results": "Search results",
}

ACTIONS = (
    Action("deck", "back", ("escape", "q"), "Back", "Close what is open; on the list of sessions, leave.", True),
    Action("deck", "help", ("question_mark", "f1"), "Help", "All keys of this screen, and what its signs mean.", True),
    Action("deck", "command_palette", ("ctrl+p",), "Palette", "Find an action by its name.", True),
    Action("deck", "quit", ("ctrl+q",), "Quit", "Leave the deck."),
    Action("deck", "dark", ("ctrl+t",), "Dark/light", "Change between a dark and a light theme."),
    Action("deck", "results", ("S",), "Search all", "Search all sessions: the language of `tapes search`.", True),
    Action("rows", "move(1)", ("j", "down"), "Next", "The next row."),
    Action("rows", "move(-1)", ("k", "up"), "Previous", "The row before."),
    Action("rows", "page(1)", ("pagedown", "ctrl+d"), "Page down", "A page further."),
    Action("rows", "page(-1)", ("pageup", "ctrl+u"), "Page up", "A page back."),
    Action("rows", "first", ("0", "home"), "First", "The first row."),
    Action("rows", "last", ("dollar_sign", "end", "G"), "Last", "The last row."),
    Action("rows", "choose", ("enter",), "Open", "What the row stands for."),
    Action("reader", "move(1)", ("j", "down"), "Down", "A row down."),
    Action("reader", "move(-1)", ("k", "up"), "Up", "A row up."),
    Action("reader", "page(1)", ("pagedown", "ctrl+d"), "Page down", "A page further."),
    Action("reader", "page(-1)", ("pageup", "ctrl+u"), "Page up", "A page back."),
    Action("reader", "first", ("0", "home"), "Begin", "The beginning of the text."),
    Action("reader", "last", ("dollar_sign", "end", "G"), "End", "The end; all before is read. Any move stops that."),
    Action("reader", "title(1)", ("right_curly_bracket",), "Next part", "The next title of the page."),
    Action("reader", "title(-1)", ("left_curly_bracket",), "Last part", "The title before."),
    Action("reader", "find", ("slash",), "Find", "In this text; what is not read yet is read on the way."),
    Action("reader", "hit(1)", ("n",), "Next hit", "The next place in the text that says what was searched for."),
    Action("reader", "hit(-1)", ("N",), "Last hit", "The place before."),
    Action("reader", "wrap", ("w",), "Wrap", "Break long lines, or let them run out to the right."),
    Action("reader", "aside(-1)", ("h", "left"), "Left", "Some columns to the left, where lines are not broken."),
    Action("reader", "aside(1)", ("l", "right"), "Right", "Some columns to the right."),
    Action("reader", "copy_block", ("C",), "Copy part", "The part of the page at the top, to the clipboard."),
    Action("reader", "leave", ("escape",), "Leave", "Stop reading on; end the search here; to the list.", True),
    Action("box", "leave", ("escape",), "Close", "End the filter or the search.", True),
    Action("box", "list(1)", ("down",), "Down", "The next row of the list, without leaving the box."),
    Action("box", "list(-1)", ("up",), "Up", "The row before."),
    Action("sessions", "unfilter", ("escape",), "All", "End the filter.", True),
    Action("sessions", "filter", ("slash",), "Filter", "Only sessions with these words, in title or contents.", True),
    Action("sessions", "sort(1)", ("s",), "Sort", "By the next column.", True),
    Action("sessions", "reverse", ("r",), "Reverse", "The other way round.", True),
    Action("sessions", "compare", ("d",), "Compare", "Choose a session, then another one to compare it with.", True),
    Action("sessions", "copy_hash", ("y",), "Copy hash", "The session's hash, to the clipboard.", True),
    Action("sessions", "export", ("e",), "Export", "Write the session to a file.", True),
    Action("help", "app.back", ("question_mark", "f1"), "Back", "Close this page."),
    Action("help", "scroll(1)", ("j",), "Down", "A line down; pages as everywhere."),
    Action("help", "scroll(-1)", ("k",), "Up", "A line up."),
    Action("dialog", "close", ("escape",), "Close", "Do nothing."),
    Action("dialog", "accept", ("enter",), "Do it", "What the dialog says that it would do."),
    Action("choice", "choose(1)", ("right", "space"), "Next", "The next of the words."),
    Action("choice", "choose(-1)", ("left",), "Previous", "The one before."),
    Action("breaks", "remove", ("x", "delete"), "Remove", "Take the break away."),
    Action("breaks", "pattern", ("slash",), "Pattern", "Type a regular expression to stop on."),
    Action("marks", "unmark", ("x", "delete"), "Unmark", "Take the step's marks back."),
    Action("tape", "view('timeline')", ("1",), "Timeline", "The steps, and each in full.", True),
    Action("tape", "view('commands')", ("2",), "Commands", "What ran: asked, ran and told side by side.", True),
    Action("tape", "view('files')", ("3",), "Files", "The files as they were, and each one's versions.", True),
    Action("tape", "view('terminal')", ("4",), "Terminal", "The recorded screen at this step.", True),
    Action("tape", "view('compare')", ("5",), "Compare", "This session beside another one.", True),
    Action("tape", "failure(1)", ("right_square_bracket",), "Next failure", "The next step that failed.", True),
    Action("tape", "failure(-1)", ("left_square_bracket",), "Last failure", "The failed step before."),
    Action("tape", "jump", ("g", "colon"), "Jump", "To a step, a time, or the beginning of a hash.", True),
    Action("tape", "mark", ("m",), "Mark", "Put a label on this step: a note in the session's chain.", True),
    Action("tape", "unmark", ("U",), "Unmark", "Take this step's marks back."),
    Action("tape", "marks", ("M",), "Marks", "The marked steps: go to one, or take its marks back."),
    Action("tape", "breakpoint", ("b",), "Break", "Where playing stops: here, on a pattern, on every failure.", True),
    Action("tape", "copy_hash", ("y",), "Copy hash", "The hash of the step's record, to the clipboard.", True),
    Action("tape", "copy_command", ("Y",), "Copy command", "The step's command, else its words, to the clipboard."),
    Action("tape", "open", ("o",), "Pager", "The step in your pager ($PAGER).", True),
    Action("tape", "export", ("e",), "Export", "Write the session, up to this step or whole, to a file.", True),
    Action("tape", "checkout", ("c",), "Checkout", "Take this moment out as files; the agent's own form, too.", True),
    Action("tape", "compare", ("d",), "Compare with", "Choose a session to compare this one with.", True),
    Action("tape", "follow", ("f",), "Follow", "Stay on the last step while the session grows.", True),
    Action("timeline", "out", ("h", "left"), "Out", "Out of a thread; fold it."),
    Action("timeline", "into", ("l", "right"), "In", "Into a thread; unfold it."),
    Action("timeline", "alike(1)", ("n",), "Next of a kind", "The next step like this one, or hit of a search.", True),
    Action("timeline", "alike(-1)", ("p",), "Last of a kind", "The one before."),
    Action("timeline", "search", ("slash",), "Search", "In this session: the language of `tapes search`.", True),
    Action("timeline", "unsearch", ("escape",), "End search", "End the search that was begun here.", True),
    Action("timeline", "play", ("space",), "Play", "At recorded pace; again: stop.", True),
    Action("timeline", "speed(1)", ("greater_than_sign",), "Faster", "Play twice as fast: 1 to 16 times."),
    Action("timeline", "speed(-1)", ("less_than_sign",), "Slower", "Play half as fast."),
    Action("timeline", "idle", ("i",), "Idle cap", "How long playing waits at most."),
    Action("timeline", "tab(1)", ("v",), "Next tab", "Read, request, response, record, context, state.", True),
    Action("timeline", "tab(-1)", ("V",), "Last tab", "The tab before."),
    Action("timeline", "raw", ("R",), "Raw", "Bodies and inputs as they came; again: in a form to read."),
    Action("timeline", "scroll(1)", ("J", "shift+down"), "Scroll", "The step's text a few lines down."),
    Action("timeline", "scroll(-1)", ("K", "shift+up"), "Scroll back", "A few lines up."),
    Action("commands", "filter", ("slash",), "Filter", "Words, and options of `tapes commands`: exit:nonzero.", True),
    Action("commands", "only", ("u",), "All/failed", "All, those that failed, those with a doubtful verdict.", True),
    Action("commands", "doubt(1)", ("n",), "Next doubt", "The next command not as it was asked for or told.", True),
    Action("commands", "doubt(-1)", ("p",), "Last doubt", "The one before."),
    Action("commands", "scroll(1)", ("J", "shift+down"), "Scroll", "The text of the command a few lines down."),
    Action("commands", "scroll(-1)", ("K", "shift+up"), "Scroll back", "A few lines up."),
    Action("commands", "leave", ("escape",), "To the list", "From the text to the list; end the filter.", True),
    Action("files", "out", ("h", "left"), "Out", "Back to the files; there, close the directory, or to the one above."),
    Action("files", "into", ("l", "right"), "In", "Open the directory; from a file to its versions."),
    Action("files", "change(1)", ("n",), "Next change", "The next step in which a file changed.", True),
    Action("files", "change(-1)", ("p",), "Last change", "The step before in which a file changed."),
    Action("files", "face(1)", ("v",), "Diff/text/blame", "What changed, the content, or whose each line is.", True),
    Action("files", "face(-1)", ("V",), "The face before", "The same, the other way round."),
    Action("files", "other_side", ("x",), "Other side", "Diff against the version at the cursor, or no longer.", True),
    Action("files", "everything", ("a",), "All/changed", "All files, or those that changed since the start.", True),
    Action("files", "tree", ("t",), "Tree/list", "As a tree of directories, or as a list, what changed first.", True),
    Action("files", "filter", ("slash",), "Filter", "Only paths with these words.", True),
    Action("files", "scroll(1)", ("J", "shift+down"), "Scroll", "The text of the version a few lines down."),
    Action("files", "scroll(-1)", ("K", "shift+up"), "Scroll back", "A few lines up."),
    Action("compare", "difference(1)", ("n",), "Next difference", "The next stretch that is not the same.", True),
    Action("compare", "difference(-1)", ("p",), "Last difference", "The one before."),
    Action("compare", "face(1)", ("v",), "Next face", "Commands, files, context, surroundings, figures.", True),
    Action("compare", "face(-1)", ("V",), "Last face", "The face before."),
    Action("compare", "fold", ("z",), "Fold", "Only what is not the same, with three around it.", True),
    Action("compare", "swap", ("x",), "Swap", "The other run at the left.", True),
    Action("compare", "open_side('a')", ("a",), "Open A", "The step of A, in its session.", True),
    Action("compare", "open_side('b')", ("b",), "Open B", "The step of B, in its session.", True),
    Action("compare", "again", ("r",), "Read again", "Compare anew, where one of them has recorded more."),
    Action("compare", "scroll(1)", ("J", "shift+down"), "Scroll", "The pair's text a few lines down."),
    Action("compare", "scroll(-1)", ("K", "shift+up"), "Scroll back", "A few lines up."),
    Action("terminal", "play", ("space",), "Play", "At recorded pace; again: stop.", True),
    Action("terminal", "seek(5)", ("right",), "5 s on", "Five seconds further."),
    Action("terminal", "seek(-5)", ("left",), "5 s back", "Five seconds back."),
    Action("terminal", "event(1)", ("full_stop",), "Next event", "Until something happens on the screen."),
    Action("terminal", "event(-1)", ("comma",), "Last event", "Before the last thing that happened."),
    Action("terminal", "command(1)", ("n",), "Next command", "To where the next command began.", True),
    Action("terminal", "command(-1)", ("p",), "Last command", "To where the command before began.", True),
    Action("terminal", "step(1)", ("j", "down"), "Next step", "The next step of the outline."),
    Action("terminal", "step(-1)", ("k", "up"), "Step before", "The step before."),
    Action("terminal", "page(1)", ("pagedown", "ctrl+d"), "Page of steps", "A page of the outline further."),
    Action("terminal", "page(-1)", ("pageup", "ctrl+u"), "Page back", "A page of the outline back."),
    Action("terminal", "begin", ("0", "home"), "Begin", "Where the recording begins."),
    Action("terminal", "end", ("dollar_sign", "end", "G"), "End", "Where it ends."),
    Action("terminal", "speed(1)", ("greater_than_sign", "plus"), "Faster", "Play twice as fast: 1 to 16 times.", True),
    Action("terminal", "speed(-1)", ("less_than_sign", "minus"), "Slower", "Play half as fast."),
    Action("terminal", "idle", ("i",), "Idle cap", "How long playing waits at most."),
    Action("terminal", "outline", ("v",), "Outline", "Show the steps beside the screen, or do not.", True),
    Action("terminal", "scroll(0, -1)", ("shift+up", "K"), "Scroll up", "Where the recorded screen is larger."),
    Action("terminal", "scroll(0, 1)", ("shift+down", "J"), "Scroll down", "The same, down."),
    Action("terminal", "scroll(-8, 0)", ("shift+left", "H"), "Scroll left", "The same, to the left."),
    Action("terminal", "scroll(8, 0)", ("shift+right", "L"), "Scroll right", "The same, to the right."),
    Action("results", "search", ("slash",), "Query", "Type another query.", True),
    Action("results", "again", ("ctrl+r",), "Ask again", "With what was recorded meanwhile.", True),
    Action("results", "copy_hash", ("y",), "Copy hash", "The hash of the hit's record, to the clipboard.", True),
)  # fmt: skip


def actions(*places: str) -> Iterator[Action]:
    """Those of some places, in the order of this page."""
    return (action for action in ACTIONS if action.on in places)


def shown(key: str) -> str:
    """A key as it is written on a keyboard."""
    before, plus, last = key.rpartition("+")
    return f"{before}{plus}{format_key(last)}"


def keys_of(action: Action) -> str:
    return " ".join(map(shown, action.keys))


def places_of(kind: type) -> list[str]:
    """The places whose actions a class of screen or widget has, its own first."""
    found: dict[str, None] = {}
    for base in kind.__mro__:
        ids = (getattr(each, "id", None) for each in vars(base).get("BINDINGS", ()))
        found |= dict.fromkeys(one.split(".")[0] for one in ids if one)
        if not vars(base).get("_inherit_bindings", True):
            break  # Textual has those of no class above
    return list(found)


def bindings(place: str) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """For the BINDINGS of the class that has a place's methods."""
    return [
        Binding(",".join(action.keys), action.name, action.says, show=action.shown, tooltip=action.help, id=action.id)
        for action in actions(place)
    ]
