"""What came of a call that was open when octavo was killed is told as what the disk shows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.unfinished import Kept, endings
from octavo.context.cut_off import VERDICTS
from octavo.protocol import events as ev
from octavo.protocol.fold import fold
from octavo.workspace.git_mark import REFS_LIMIT, mark
from octavo.workspace.marks import digest
from tests.protocol.test_fold import STARTED, call, turn


def told(
    intent: ev.Intent | None, *, kept: Kept | None = None, item: ev.ItemAdded | None = None
) -> tuple[str, str, ev.CallEnded]:
    """The verdict on one open call of a turn that never ended, its text and its event."""
    events: list[ev.Event] = [STARTED, turn(), item or call("c")]
    if intent is not None:
        events.append(ev.CallStarted("1", "c", 0, intent))
    thread = fold(events)
    [ended] = endings(events, thread, lambda _: kept)
    thread.apply(ended)  # it is legal, and so is the end of the turn after it
    thread.apply(ev.TurnEnded("1", 0, "crashed"))
    assert ended.facts is not None
    assert ended.facts.found is not None
    assert ended.ok is (ended.facts.found == "done")
    output = msgspec.json.decode(ended.raw)["output"]
    assert output.startswith(VERDICTS[ended.facts.found] + ": octavo stopped unexpectedly ")
    return ended.facts.found, output, ended


def edit(*files: tuple[Path, bytes | None, bytes | None]) -> ev.EditIntent:
    marks = [
        ev.FileMark(str(path), *(None if data is None else digest(data) for data in both))
        for path, *both in files
    ]
    return ev.EditIntent((), tuple(marks))


def test_a_call_that_never_began_was_not_done() -> None:
    assert told(None)[0] == "not_done"


def test_of_a_patch_the_files_tell(tmp_path: Path) -> None:
    new, old, gone = tmp_path / "new", tmp_path / "old", tmp_path / "gone"
    intent = edit((new, None, b"new"), (old, b"1", b"2"), (gone, b"x", None))
    old.write_bytes(b"1")
    gone.write_bytes(b"x")
    assert told(intent)[0] == "not_done"

    new.write_bytes(b"new")
    found, text, _ = told(intent)
    assert found == "partly"
    assert f"As the patch makes them: {new}." in text
    assert f"As they were before: {old}, {gone}." in text

    old.write_bytes(b"2")
    gone.unlink()
    found, text, _ = told(intent)
    assert found == "done"
    assert "Do not apply it again" in text


def test_a_file_that_somebody_changed_since_is_not_judged(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"3")

    found, text, _ = told(edit((file, b"1", b"2")))

    assert found == "unknown"
    assert f"Neither, or not to be read: {file}." in text


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "file")

    assert told(edit((tmp_path / "file", b"1", b"2")))[0] == "unknown"


def test_what_a_killed_patch_left_beside_its_files_is_named(tmp_path: Path) -> None:
    file, left = tmp_path / "file", tmp_path / ".octavo-0123456789ab-0"
    other, foreign = tmp_path / ".octavo-0123456789ac-0", tmp_path / ".octavo-notes"
    file.write_bytes(b"1")
    left.write_bytes(b"2")
    other.write_bytes(b"something else")
    foreign.write_bytes(b"2")

    found, text, _ = told(edit((file, b"1", b"2")))

    assert found == "not_done"
    assert str(left) in text
    assert str(other) not in text
    assert str(foreign) not in text
    assert left.exists()


_CONTENT = st.sampled_from([None, b"", b"a", b"b"])


@given(st.lists(st.tuples(_CONTENT, _CONTENT, _CONTENT), min_size=1, max_size=4))
def test_a_verdict_is_never_better_than_the_files(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[bytes | None, bytes | None, bytes | None]],
) -> None:
    folder = tmp_path_factory.mktemp("files")
    planned = []
    for number, (before, after, now) in enumerate(files):
        path = folder / str(number)
        planned.append((path, before, after))
        if now is not None:
            path.write_bytes(now)

    found = told(edit(*planned))[0]

    assert (found == "done") == all(now == after for _, after, now in files)
    if found == "not_done":
        assert all(now == before for before, _, now in files)
    if found == "partly":
        assert all(now in (before, after) for before, after, now in files)


def test_a_patch_of_an_older_octavo_is_unknown() -> None:
    line = b'{"kind":"edit","changes":[{"path":"/a","kind":"add","diff":"+a"}]}'

    assert told(msgspec.json.decode(line, type=ev.EditIntent))[0] == "unknown"


def test_of_a_command_nothing_is_known_but_what_it_wrote(tmp_path: Path) -> None:
    found, text, ended = told(ev.RunIntent("make", "/w"))
    assert found == "unknown"
    assert "was not run again" in text
    assert ended.labels == ()

    kept = Kept(tmp_path / "c.log", "step 7 of 9")
    found, text, ended = told(ev.RunIntent("make", "/w"), kept=kept)
    assert found == "unknown"
    assert text.endswith(f"is in {kept.path}; it ends with:\nstep 7 of 9")
    assert ended.labels == ("private", "untrusted")


def test_what_ran_outside_may_have_arrived_elsewhere() -> None:
    assert "ask the other side" in told(ev.RunIntent("deploy", "/w", outside=True))[1]


@pytest.mark.parametrize(("arguments", "found"), [({"chars": "y\n"}, "unknown"), ({}, "not_done")])
def test_typing_may_have_arrived_and_waiting_did_nothing(
    arguments: dict[str, str], found: str
) -> None:
    raw = {"type": "function_call", "call_id": "c", "name": "write_stdin"}
    raw["arguments"] = msgspec.json.encode({"session_id": 1, **arguments}).decode()
    item = ev.ItemAdded(
        "1", "i", "function_call", 0, msgspec.Raw(msgspec.json.encode(raw)), "c", "write_stdin"
    )

    assert told(None, item=item)[0] == found


# ---- Git ----


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init -q -b main")
    (tmp_path / "a").write_text("1\n")
    run_git(tmp_path, "add a", "commit -qm First")
    (tmp_path / "a").write_text("2\n")
    return tmp_path


def run_git(top: Path, *calls: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for one in calls:
        subprocess.run(["git", *who, *one.split()], cwd=top, check=True, capture_output=True)


COMMIT = "git add -A && git commit -m Second"


@pytest.mark.parametrize(
    ("script", "happened", "found"),
    [
        (COMMIT, (), "not_done"),
        (COMMIT, ("add -A",), "partly"),
        (COMMIT, ("add -A", "commit -m Second"), "done"),
        ("git add a", (), "not_done"),
        ("git add a", ("add a",), "done"),
        ("git tag v1", (), "not_done"),
        ("git tag v1", ("tag v1",), "done"),
        ("git status", (), "unknown"),
        ("git reset --hard", (), "unknown"),
        ("git switch -c side", ("switch -c side",), "unknown"),
        (f"{COMMIT} && git push origin main", ("add -A", "commit -m Second"), "unknown"),
        ("git commit -am Two && git commit --allow-empty -m Three", ("commit -am Two",), "unknown"),
    ],
)
def test_of_git_the_repository_tells(
    repository: Path, script: str, happened: Sequence[str], found: str
) -> None:
    before = mark(repository) if script != "git status" else None
    intent = ev.RunIntent(script, str(repository), git=before)
    run_git(repository, *happened)

    said, text, _ = told(intent)

    assert said == found
    if "push" in script:
        assert "ask the other side" in text


def test_a_branch_that_somebody_else_switched_is_not_judged(repository: Path) -> None:
    intent = ev.RunIntent(COMMIT, str(repository), git=mark(repository))
    run_git(repository, "switch -qc other", "add -A", "commit -qm Mine")

    found, text, _ = told(intent)

    assert found == "unknown"
    assert "HEAD was refs/heads/main at " in text
    assert " and is refs/heads/other at " in text


def test_a_lock_that_a_killed_git_left_is_said(repository: Path) -> None:
    intent = ev.RunIntent("git add a", str(repository), git=mark(repository))
    lock = repository / ".git" / "index.lock"
    lock.touch()

    found, text, _ = told(intent)

    assert found == "not_done"
    assert f"There is a lock now, {lock}," in text
    assert lock.exists()


def test_a_repository_of_very_many_refs_is_not_marked(repository: Path) -> None:
    folder = repository / ".git" / "refs" / "heads" / "many"
    folder.mkdir()
    for number in range(REFS_LIMIT + 1):
        (folder / str(number)).touch()

    assert mark(repository) is None
    assert told(ev.RunIntent(COMMIT, str(repository)))[0] == "unknown"


def test_looking_at_a_repository_changes_nothing_in_its_mark(repository: Path) -> None:
    before = mark(repository)
    run_git(repository, "log -1", "gc -q")

    after = mark(repository)

    assert before is not None
    assert after is not None
    assert (before.head, before.commit, before.index) == (after.head, after.commit, after.index)


def test_of_a_servers_tool_nobody_knows() -> None:
    found, text, ended = told(ev.ToolIntent("plants", "water"))

    assert found == "unknown"
    assert "while MCP server plants carried out water" in text
    assert ended.labels == ()
