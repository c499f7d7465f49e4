"""What calls do to files, as each agent asks for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.files import Deed, blocks, deeds, diff_of, looks_only

PATCH = """*** Begin Patch
*** Add File: new.txt
+one
*** Update File: old.py
@@ def f():
 kept
-was
+is
*** Delete File: gone.c
*** End Patch"""
PATCHED = (
    Deed("write", "new.txt", "+one", new=("one\n",)),
    Deed("edit", "old.py", " kept\n-was\n+is", new=("is",)),
    Deed("delete", "gone.c", ""),
)


@pytest.mark.parametrize(
    ("tool", "arguments", "deed"),
    [
        ("Read", {"file_path": "/a"}, Deed("read", "/a")),
        ("read_file", {"absolute_path": "/a"}, Deed("read", "/a")),
        ("read", {"filePath": "/a", "offset": 3}, Deed("read", "/a")),
        ("Edit", {"file_path": "/a", "old_string": "x", "new_string": "y"}, Deed("edit", "/a", "-x\n+y", new=("y",))),
        ("edit", {"filePath": "/a", "oldString": "x", "newString": "y"}, Deed("edit", "/a", "-x\n+y", new=("y",))),
        (
            "replace",
            {"file_path": "/a", "old_string": "x\n", "new_string": "x\ny\n"},
            Deed("edit", "/a", " x\n+y", new=("x\ny\n",)),
        ),
        ("Write", {"file_path": "/a", "content": "x\ny\n"}, Deed("write", "/a", "+x\n+y", new=("x\ny\n",))),
        ("write_file", {"file_path": "/a", "content": "x"}, Deed("write", "/a", "+x", new=("x",))),
        (
            "MultiEdit",
            {
                "file_path": "/a",
                "edits": [{"old_string": "x", "new_string": "y"}, {"old_string": "", "new_string": "z"}],
            },
            Deed("edit", "/a", "-x\n+y\n+z", new=("y", "z")),
        ),
        ("Task", {"prompt": "go", "subagent_type": "explorer"}, Deed("spawn", "explorer", said="go")),
        ("invoke_agent", {"agent_name": "i", "prompt": "go"}, Deed("spawn", "i", said="go")),
        (
            "update_plan",
            {"plan": [{"step": "a", "status": "completed"}, {"step": "b"}]},
            Deed("todo", said="[x] a\n[ ] b"),
        ),
        ("TaskCreate", {"subject": "a", "description": "long"}, Deed("todo", said="[ ] a")),
    ],
)
def test_a_call_tells_what_it_does(tool: str, arguments: dict[str, object], deed: Deed) -> None:
    assert deeds(tool, json.loads(json.dumps(arguments))) == (deed,)


def test_a_patch_names_each_of_its_files() -> None:
    assert deeds("apply_patch", PATCH) == PATCHED
    assert deeds("apply_patch", {"input": PATCH}) == PATCHED
    assert deeds("exec", f"const r = await tools.apply_patch({json.dumps(PATCH)}); text(r);") == PATCHED


def test_a_patch_tells_where_a_file_moves_and_each_stretch_that_comes() -> None:
    patch = """*** Begin Patch
*** Update File: a.py
*** Move to: b/c.py
@@
+one
+two
@@
+three

 kept
+four
*** End Patch"""
    diff = "+one\n+two\n+three\n\n kept\n+four"
    assert deeds("apply_patch", patch) == (Deed("edit", "a.py", diff, new=("one\ntwo", "three", "four"), to="b/c.py"),)


def test_tools_that_only_look_are_known() -> None:
    assert [looks_only(name) for name in ("Read", "Grep", "glob", "Bash", "Write", "mcp__db__query")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_edits_written_into_an_answer_are_found() -> None:
    answer = "Here:\n\nhello.py\n```python\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n```\nDone."
    assert blocks(answer) == (Deed("edit", "hello.py", "-a = 1\n+a = 2", new=("a = 2\n",)),)
    assert blocks("I will SEARCH\n for it") == ()


def test_other_tools_and_odd_inputs_do_nothing_to_files() -> None:
    assert deeds("Bash", {"command": "rm x"}) == () == deeds("Read", {"file_path": 3}) == deeds("exec", "text(1)")
    assert deeds("Read", None) == () == deeds("apply_patch", "no patch")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "edits", "todos", "input"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["Edit", "apply_patch", "TodoWrite", "Task", "exec", "str_replace_based_edit_tool"]), JSON)
def test_no_input_raises(tool: str, arguments: object) -> None:
    deeds(tool, arguments)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1))
def test_a_diffs_lines_are_those_that_go_and_come(old: list[str], new: list[str]) -> None:
    diff = diff_of("\n".join(old), "\n".join(new)).split("\n")
    gone, come = sum(line.startswith("-") for line in diff), sum(line.startswith("+") for line in diff)
    assert come - gone == len(new) - len(old)
