"""Which step changed a file, and whether the agent has said so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.archive_suite import withhold
from snapped import Files, Shot, file, gone, unstored
from tapes.archive.base import Draft
from tapes.session.attribution import FALSE, TRUE, UNCLAIMED, Attribution, Change, Claimed
from tapes.session.doings import Doings
from tapes.session.worktree import content
from witnessed import Session

ROOT = "/home/alice/project"


class Story:
    """A session whose agent edits, and whose directory is looked at."""

    def __init__(self, **opened: Any) -> None:
        self.session = Session()
        self.session.root.body = {**self.session.root.body, "cwd": ROOT.encode(), **opened}
        self.shot = Shot(self.session)

    def start(self, files: Files) -> None:
        self.shot.take(files, "start")

    def edit(self, tool: str, result: str = "done", *, is_error: bool = False, **arguments: Any) -> Draft:
        """Asked for, done, and told."""
        use = self.session.ask_all(arguments, tool=tool)[0]
        self.session.tell((use, result), is_error=is_error)
        return use

    def run(self, line: str) -> Draft:
        start = self.session.start(line)
        self.session.end(start)
        return start

    def look(self, files: Files, cause: str = "request", **how: Any) -> None:
        self.shot.take(files, cause, **how)

    def told(self) -> Attribution:
        self.session.close()
        self.doings = Doings.read(self.session.archive, self.session.session)
        return Attribution.of(self.session.archive, self.doings)

    def number(self, draft: Draft) -> int:
        return next(step.number for step in self.doings.steps if step.hash == draft.hash)


def only(found: Attribution) -> tuple[Change, Claimed]:
    (change,), (claimed,) = found.changes, found.claims
    return change, claimed


def test_a_write_that_is_on_the_disk_is_claimed_and_true() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    use = story.edit("Write", file_path=f"{ROOT}/a", content="new\n")
    story.look({"a": b"new\n"})
    change, claimed = only(story.told())
    assert (change.step, change.verdict, claimed.verdict) == (story.number(use), TRUE, TRUE)
    assert [cause.text for cause in change.causes] == ["Write"] and change.why == ""


def test_a_write_that_never_came_is_claimed_and_not_on_disk() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    story.edit("Write", file_path="b", content="new\n")
    story.look({"a": b"old\n"})
    found = story.told()
    assert found.changes == [] and [(c.verdict, c.why) for c in found.claims] == [(FALSE, "there is no such file")]


def test_another_text_than_was_said_is_no_truth() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    story.edit("Edit", file_path="a", old_string="old", new_string="new")
    story.look({"a": b"other\n"})
    change, claimed = only(story.told())
    assert (change.verdict, claimed.verdict) == (UNCLAIMED, FALSE)
    assert claimed.why == "the file changed, but not to what was said"


def test_what_a_command_did_is_not_claimed() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    start = story.run("sed -i s/old/new/ a")
    story.look({"a": b"new\n"}, "command")
    (change,) = story.told().changes
    assert (change.step, change.verdict, change.why) == (story.number(start), UNCLAIMED, "")
    assert change.causes[0].text == "sed -i s/old/new/ a"


def test_of_several_commands_all_are_named_and_the_files_own_time_says_which_first() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    first = story.run("sed -i s/old/new/ a")
    story.run("true")
    when = first.wall_ns + 500_000_000
    row = file("a", b"new\n", mtime_ns=when)
    story.shot.write([(row, b"new\n")], "command", full=False)
    (change,) = story.told().changes
    assert [cause.text for cause in change.causes] == ["sed -i s/old/new/ a", "true"]
    assert change.step == story.number(first) and "between two snapshots" in change.why


def test_a_whole_text_that_was_written_in_the_time_of_its_call_is_that_calls_alone() -> None:
    for late, causes in ((0, 1), (20, 2)):
        story = Story()
        story.start({"a": b"old\n"})
        use = story.edit("Write", file_path="a", content="new\n")
        story.run("true")
        row = file("a", b"new\n", mtime_ns=use.wall_ns + late * 1_000_000_000)
        story.shot.write([(row, b"new\n")], "command", full=False)
        (change,) = story.told().changes
        assert (change.verdict, len(change.causes)) == (TRUE, causes)
        assert change.causes[0].text == "Write"


def test_what_nobody_did_says_so() -> None:
    story = Story()
    story.start({"a": b"old\n"})
    story.look({"a": b"new\n"}, "end")
    (change,) = story.told().changes
    assert (change.causes, change.verdict, change.why) == ((), UNCLAIMED, "nothing was seen that could have done it")


@pytest.mark.parametrize(("result", "is_error"), [("no such string", True), ("Error: not found", False)])
def test_a_call_that_failed_claims_nothing(result: str, is_error: bool) -> None:
    story = Story()
    story.start({"a": b"old\n"})
    story.edit("Edit", result, is_error=is_error, file_path="a", old_string="x", new_string="y")
    story.look({"a": b"old\n"})
    found = story.told()
    assert found.claims == [] and found.changes == []


def test_calls_of_one_answer_are_put_to_the_files_they_name() -> None:
    story = Story()
    story.start({"a": b"1", "b": b"1"})
    one, two = story.session.ask_all(
        {"file_path": "a", "content": "2"}, {"file_path": "b", "content": "3"}, tool="Write"
    )
    story.session.tell((one, "done"), (two, "done"))
    story.look({"a": b"2", "b": b"3"})
    found = story.told()
    assert {c.version.path: (c.step, c.verdict, c.why) for c in found.changes} == {
        b"a": (story.number(one), TRUE, ""),
        b"b": (story.number(two), TRUE, ""),
    }


def test_an_edit_that_was_formatted_before_anybody_looked_has_no_verdict() -> None:
    story = Story()
    story.start({"a": b"x=1\n"})
    story.edit("Edit", file_path="a", old_string="x=1", new_string="x=2")
    story.run("fmt a")
    story.look({"a": b"x = 2\n"}, "command")
    change, claimed = only(story.told())
    assert change.verdict == claimed.verdict == "" and "may have changed it again" in claimed.why


def test_paths_are_found_by_cwd_by_links_and_by_the_directorys_other_name() -> None:
    link = (file("lib", b"src/deep", kind="link"), b"src/deep")
    story = Story(environment=[[b"PWD", b"/link/project"]])
    story.start({"lib": link, "src/deep/a": b"1", "b": b"1"})
    story.edit("Write", file_path="lib/../lib/a", content="2")
    story.look({"lib": link, "src/deep/a": b"2", "b": b"1"})
    story.edit("Write", file_path="/link/project/./b", content="2")
    story.look({"lib": link, "src/deep/a": b"2", "b": b"2"})
    story.edit("write_file", file_path="a", dir_path="src/deep", content="3")
    story.look({"lib": link, "src/deep/a": b"3", "b": b"2"})
    story.edit("Write", file_path="/elsewhere/x", content="3")
    found = story.told()
    assert [(c.claim.path, c.verdict) for c in found.claims] == [
        (b"src/deep/a", TRUE),
        (b"b", TRUE),
        (b"src/deep/a", TRUE),
        (b"/elsewhere/x", ""),
    ]


def test_a_patch_claims_each_of_its_files_and_both_ends_of_a_move() -> None:
    patch = (
        "*** Begin Patch\n*** Add File: n\n+one\n*** Update File: a\n*** Move to: m\n@@\n-x\n+y\n"
        "*** Delete File: d\n*** End Patch"
    )
    story = Story()
    story.start({"a": b"x\n", "d": b"1"})
    story.edit("apply_patch", input=patch)
    story.look({"n": b"one\n", "m": b"y\n"})
    found = story.told()
    assert {(c.claim.action, c.claim.path, c.verdict) for c in found.claims} == {
        ("write", b"n", TRUE),
        ("delete", b"a", TRUE),
        ("edit", b"m", TRUE),
        ("delete", b"d", TRUE),
    }
    assert {c.verdict for c in found.changes} == {TRUE}


def test_blocks_in_an_answer_are_claims_of_the_answer() -> None:
    story = Story()
    story.start({"a.py": b"a = 1\n"})
    block = "a.py\n```python\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n```\n"
    end = story.session.exchange({"type": "text", "text": block})
    story.look({"a.py": b"a = 2\n"}, "end")
    change, claimed = only(story.told())
    assert (change.step, change.verdict, claimed.verdict) == (story.number(end), TRUE, TRUE)


def test_many_edits_of_one_call_are_all_sought_and_ends_of_lines_are_the_editors_business() -> None:
    story = Story()
    story.start({"a": b"1\r\n2\r\n"})
    edits = [{"old_string": "1", "new_string": "one\nand"}, {"old_string": "2", "new_string": "two"}]
    story.edit("MultiEdit", file_path="a", edits=edits)
    story.look({"a": b"one\r\nand\r\ntwo\r\n"})
    assert [c.verdict for c in story.told().claims] == [TRUE]


def test_what_is_not_looked_into_is_neither_true_nor_false() -> None:
    story = Story()
    files = {"out": unstored("out", "ignored", "dir"), "big": unstored("big", "large", size=9)}
    story.start(files)
    story.edit("Write", file_path="out/x", content="1")
    story.look(files)
    story.edit("Write", file_path="big", content="1")
    story.look({**files, "big": unstored("big", "large", size=8)})
    found = story.told()
    assert [(c.verdict, c.why) for c in found.claims] == [
        ("", "out is ignored"),
        (TRUE, "its content is not stored (large)"),
    ]


def test_a_claim_that_nobody_looked_at_afterwards_has_no_verdict() -> None:
    story = Story()
    story.start({"a": b"1"})
    story.edit("Write", file_path="a", content="2")
    assert [(c.verdict, c.why) for c in story.told().claims] == [("", "no snapshot was taken after it")]


def test_a_write_of_what_is_there_already_is_true() -> None:
    story = Story()
    story.start({"a": b"1"})
    story.edit("Write", file_path="a", content="1")
    story.look({"a": b"1"})
    found = story.told()
    assert [(c.verdict, c.why) for c in found.claims] == [(TRUE, "it was so already")] and found.changes == []


def test_the_tree_at_a_step_is_what_the_first_look_behind_it_saw() -> None:
    story = Story()
    story.start({"a": b"0"})
    one = story.run("one")
    story.look({"a": b"1"}, "command")
    two, three = story.run("two"), story.run("three")
    story.look({"a": b"3"}, "command")
    found = story.told()
    (tree,) = found.trees
    at = {name: tree.at(story.number(step)) for name, step in {"one": one, "two": two, "three": three}.items()}
    archive = story.session.archive
    assert {name: (content(archive, t.entries[b"a"]), t.exact) for name, t in at.items()} == {
        "one": (b"1", True),
        "two": (b"1", False),
        "three": (b"3", True),
    }
    assert "no snapshot was taken between its end and" in at["two"].doubts[0]


def test_the_tree_at_a_step_that_was_forgotten_is_that_of_its_time_and_a_doubt() -> None:
    story = Story()
    story.start({"a": b"0"})
    story.run("one")
    story.look({"a": b"1"}, "command")
    two = story.run("two")
    story.look({"a": b"2"}, "command")
    story.run("three")
    story.look({"a": b"3"}, "command")
    story.session.commit()
    archive, assigned = story.session.archive, two.hash
    assert assigned is not None
    seq = archive.record(assigned).seq
    withhold(archive, story.session.session, records=(seq, seq + 1))
    archive.destroy()  # type: ignore[attr-defined]
    (tree,) = story.told().trees
    at = [tree.at(number) for number in (1, 2, 3)]
    assert [content(archive, one.entries[b"a"]) for one in at] == [b"1", b"2", b"3"]
    assert [one.exact for one in at] == [True, False, True] and "withheld" in at[1].doubts[0]


def test_where_nobody_looked_in_time_the_files_own_times_tell_and_it_is_said() -> None:
    story = Story()
    story.start({"a": b"0", "b": b"0"})
    one, two = story.run("one"), story.run("two")
    rows = [
        (file("a", b"1", mtime_ns=one.wall_ns + 100), b"1"),
        (file("b", b"2", mtime_ns=two.wall_ns + 100), b"2"),
        (file("d/c", b"3", mtime_ns=one.wall_ns + 100), b"3"),
    ]
    story.shot.write(rows, "command", full=False)
    found = story.told()
    tree = found.trees[0].at(story.number(one))
    archive = story.session.archive
    assert {path: content(archive, entry) for path, entry in tree.entries.items()} == {
        b"a": b"1",
        b"b": b"0",
        b"d/c": b"3",
    }
    assert not tree.exact and "own times" in tree.doubts[0]


def test_a_prompt_is_as_old_as_the_files_before_it() -> None:
    story = Story()
    story.start({"a": b"0"})
    story.session.opened([{"role": "user", "content": "make it one"}])
    use = story.edit("Write", file_path="a", content="1")
    story.look({"a": b"1"})
    found = story.told()
    (tree,) = found.trees
    prompt = story.doings.prompt(story.number(use))
    assert prompt is not None and prompt.text == "make it one"
    before = tree.at(prompt.number)
    assert content(story.session.archive, before.entries[b"a"]) == b"0" and before.exact


def test_without_snapshots_there_is_nothing_to_say() -> None:
    story = Story()
    story.edit("Write", file_path="a", content="1")
    found = story.told()
    assert (list(found.trees), list(found.changes), list(found.claims)) == ([], [], [])


def test_a_deletion_that_did_not_happen_is_told() -> None:
    story = Story()
    story.start({"a": b"1", "b": b"1"})
    story.edit("apply_patch", input="*** Begin Patch\n*** Delete File: a\n*** Delete File: b\n*** End Patch")
    story.shot.write([(gone("a"), b"")], "request", full=False)
    found = story.told()
    assert [(c.claim.path, c.verdict, c.why) for c in found.claims] == [
        (b"a", TRUE, ""),
        (b"b", FALSE, "the file is still there"),
    ]


SCRIPTS = st.lists(
    st.tuples(
        st.sampled_from(["run", "write"]), st.sampled_from("abc"), st.sampled_from(["", "1\n", "2\n"]), st.booleans()
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(SCRIPTS)
def test_a_tree_that_is_called_exact_is_what_was_there_whatever_was_looked_at(
    script: list[tuple[str, str, str, bool]],
) -> None:
    """Commands write or delete (""), calls write; after each somebody looks, or nobody does."""
    story = Story()
    files: dict[str, bytes] = {"a": b"0\n", "b": b"0\n"}
    story.start(files)  # mtimes of 1
    models: list[tuple[Draft, dict[str, bytes], bool]] = []
    times = dict.fromkeys("abc", 1)
    for n, (kind, path, text, looked) in enumerate(script, 2):
        times[path] = n
        if text or kind == "write":
            files = {**files, path: text.encode()}
        else:
            files = {name: data for name, data in files.items() if name != path}
        done = story.run(path) if kind == "run" else story.edit("Write", file_path=path, content=text)
        if looked:
            story.look({name: (file(name, data, mtime_ns=times[name]), data) for name, data in files.items()})
        models.append((done, files, looked))
    found = story.told()
    archive = story.session.archive
    for done, model, looked in models:
        tree = found.trees[0].at(story.number(done))
        held = {path.decode(): content(archive, entry) for path, entry in tree.entries.items()}
        assert tree.exact or not looked
        assert held == model or not tree.exact
    for told in found.claims:
        after = [model for done, model, looked in models if looked and story.number(done) >= told.claim.step]
        if told.verdict == TRUE:
            assert after and any(model.get(told.claim.said) == told.claim.new[0].encode() for model in after)
        assert told.verdict != FALSE  # an honest agent is never called a liar
