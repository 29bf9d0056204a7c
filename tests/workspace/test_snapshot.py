"""A folder is had back byte for byte, and nobody's work is lost by that."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.workspace.snapshot import EditedSince, SnapshotFailed, Span
from octavo.workspace.snapshot.scan import scan, stamps
from octavo.workspace.snapshot.store import RACY_NS, Store
from tests.sampling import sample

Tree = dict[bytes, tuple[int, bytes]]


def tree(root: Path) -> Tree:
    """Return everything below `root`: mode and content, as os.walk sees it."""
    found: Tree = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        if b"objects" in folders and folder == os.path.join(os.fsencode(root), b".git"):
            folders.remove(b"objects")
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            content = b""
            if stat.S_ISLNK(mode):
                content = os.readlink(path)
            elif stat.S_ISREG(mode):
                content = Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(root))] = (mode, content)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "src" / "a.py").write_bytes(b"print(1)\r\n")
    (root / "src" / "deep" / "b").write_bytes(bytes(range(256)) * 40)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "link").symlink_to("src/a.py")
    (root / "dangling").symlink_to("/nowhere")
    (root / os.fsdecode(b"odd \xff name\n")).write_text("odd")
    return root


@pytest.fixture
def store(root: Path, tmp_path: Path) -> Store:
    return Store(root, tmp_path / "kept")


def test_a_folder_that_was_wrecked_is_had_back(root: Path, store: Store) -> None:
    before = tree(root)
    number = store.take()
    shutil.rmtree(root / "src")
    (root / "src").write_text("a file now")
    (root / "empty").rmdir()
    (root / "run.sh").chmod(0o644)
    (root / "link").unlink()
    (root / "link").mkdir()
    (root / "new" / "folder").mkdir(parents=True)
    (root / "new" / "folder" / "file").write_text("new")

    left = store.undo([Span(number)]).left

    assert left == ()
    assert tree(root) == before


def test_undoing_can_be_undone(root: Path, store: Store) -> None:
    number = store.take()
    (root / "src" / "a.py").write_text("changed")
    (root / "more").write_text("more")
    changed = tree(root)

    before = store.undo([Span(number)]).before
    store.undo([Span(before)])

    assert tree(root) == changed


def test_a_snapshot_of_what_did_not_change_is_the_last_one_and_writes_nothing(
    root: Path, store: Store, tmp_path: Path
) -> None:
    newest_ns = max(os.lstat(path).st_ctime_ns for path in [root, *root.rglob("*")])
    while time.time_ns() <= newest_ns + 2 * RACY_NS:
        pass  # only what is older is taken to be unchanged for certain
    number = store.take()
    kept = tree(tmp_path / "kept")

    assert store.take() == number
    assert Store(root, tmp_path / "kept").take() == number
    assert tree(tmp_path / "kept") == kept


def test_another_process_goes_on_from_what_was_kept(
    root: Path, store: Store, tmp_path: Path
) -> None:
    first = store.take()
    (root / "src" / "a.py").write_text("two")
    second = store.take()
    (root / "src" / "a.py").write_text("three")

    other = Store(root, tmp_path / "kept")
    other.undo([Span(first)])
    assert (root / "src" / "a.py").read_bytes() == b"print(1)\r\n"
    store.undo([Span(second)])
    assert (root / "src" / "a.py").read_text() == "two"


def test_what_somebody_else_edited_is_not_overwritten(root: Path, store: Store) -> None:
    before = store.take()
    (root / "src" / "a.py").write_text("octavo's")
    (root / "run.sh").write_text("octavo's")
    after = store.take()
    (root / "run.sh").write_text("the person's")
    edited = tree(root)

    with pytest.raises(EditedSince) as refused:
        store.undo([Span(before, after)])
    assert refused.value.paths == (b"run.sh",)
    assert tree(root) == edited

    store.undo([Span(before, after)], overwrite=True)
    assert (root / "run.sh").read_text() == "#!/bin/sh\n"


def test_edits_elsewhere_stay_when_a_turn_is_undone(root: Path, store: Store) -> None:
    before = store.take()
    (root / "src" / "a.py").write_text("octavo's")
    after = store.take()
    (root / "mine").write_text("the person's")

    store.undo([Span(before, after)])

    assert (root / "src" / "a.py").read_bytes() == b"print(1)\r\n"
    assert (root / "mine").read_text() == "the person's"


def test_a_file_put_into_a_folder_that_has_to_become_a_file_is_not_lost(
    root: Path, store: Store
) -> None:
    before = store.take()
    (root / "run.sh").unlink()
    (root / "run.sh").mkdir()
    after = store.take()
    (root / "run.sh" / "mine").write_text("the person's")

    with pytest.raises(EditedSince):
        store.undo([Span(before, after)])
    assert (root / "run.sh" / "mine").read_text() == "the person's"


def test_a_file_put_into_a_folder_that_has_to_go_stays_with_its_folder(
    root: Path, store: Store
) -> None:
    before = store.take()
    (root / "made" / "deep").mkdir(parents=True)
    (root / "made" / "deep" / "octavo").write_text("octavo's")
    after = store.take()
    (root / "made" / "mine").write_text("the person's")

    store.undo([Span(before, after)])

    assert (root / "made" / "mine").read_text() == "the person's"
    assert [path.name for path in (root / "made").iterdir()] == ["mine"]


def test_turns_are_undone_one_after_another_around_what_the_person_did_between(
    root: Path, store: Store
) -> None:
    first = Span(store.take())
    (root / "src" / "a.py").write_text("first")
    first = Span(first.before, store.take())
    (root / "mine").write_text("the person's")
    second = Span(store.take())
    (root / "src" / "a.py").write_text("second")
    (root / "new").write_text("second")
    second = Span(second.before, store.take())

    store.undo([second, first])

    assert (root / "src" / "a.py").read_bytes() == b"print(1)\r\n"
    assert (root / "mine").read_text() == "the person's"
    assert not (root / "new").exists()


def test_an_edit_between_two_turns_is_not_lost_when_both_are_undone(
    root: Path, store: Store
) -> None:
    first = Span(store.take())
    (root / "src" / "a.py").write_text("first")
    first = Span(first.before, store.take())
    (root / "src" / "a.py").write_text("the person's")
    second = Span(store.take())
    (root / "run.sh").write_text("second")
    second = Span(second.before, store.take())

    with pytest.raises(EditedSince) as refused:
        store.undo([second, first])
    assert refused.value.paths == (b"src/a.py",)
    store.undo([second])
    assert (root / "src" / "a.py").read_text() == "the person's"


def test_a_large_file_is_neither_kept_nor_touched(root: Path, tmp_path: Path) -> None:
    store = Store(root, tmp_path / "kept", file_limit_bytes=100)
    (root / "large").write_bytes(b"x" * 101)
    number = store.take()
    (root / "large").write_bytes(b"y" * 150)
    (root / "larger").write_bytes(b"z" * 150)

    left = store.undo([Span(number)]).left

    assert [one.path for one in left] == [b"large", b"larger"]
    assert (root / "large").read_bytes() == b"y" * 150
    assert (root / "larger").exists()


def test_a_link_put_in_the_way_of_a_snapshot_is_not_followed(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "b").write_text("secret")
    store = Store(root, tmp_path / "kept")
    number = store.take()
    shutil.rmtree(root / "src" / "deep")
    (root / "src" / "deep").symlink_to(secret)

    before = store.undo([Span(number)]).before
    assert (root / "src" / "deep" / "b").read_bytes() == bytes(range(256)) * 40
    assert (secret / "b").read_text() == "secret"
    store.undo([Span(before)])
    assert (root / "src" / "deep").is_symlink()


def test_git_reads_the_packs_and_finds_every_file_in_them(
    root: Path, store: Store, tmp_path: Path
) -> None:
    store.take()
    [pack] = (tmp_path / "kept").glob("*.pack")
    subprocess.run(["git", "index-pack", pack], check=True, capture_output=True, cwd=tmp_path)
    listed = subprocess.run(
        ["git", "verify-pack", "-v", pack], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout
    wanted = subprocess.run(
        ["git", "hash-object", "--no-filters", root / "src" / "a.py", root / "src" / "deep" / "b"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout.split()
    assert len(wanted) == 2
    assert all(blob in listed for blob in wanted)


def test_a_damaged_pack_is_said_before_a_file_is_touched(
    root: Path, store: Store, tmp_path: Path
) -> None:
    number = store.take()
    (root / "src" / "a.py").write_text("changed")
    (root / "run.sh").unlink()
    changed = tree(root)
    [pack] = (tmp_path / "kept").glob("*.pack")
    data = bytearray(pack.read_bytes())
    data[20:30] = b"0123456789"
    pack.write_bytes(data)

    with pytest.raises(SnapshotFailed, match="damaged"):
        store.undo([Span(number)])
    assert tree(root) == changed


def test_a_list_that_was_cut_off_goes_on_from_its_last_whole_record(
    root: Path, store: Store, tmp_path: Path
) -> None:
    first = store.take()
    (root / "src" / "a.py").write_text("two")
    store.take()
    file = tmp_path / "kept" / "snapshots"
    whole = file.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 60, 5):
        file.write_bytes(whole[:cut])
        again = Store(root, tmp_path / "kept")
        number = again.take()
        assert number >= first
        (root / "src" / "a.py").write_text("three")
        again.undo([Span(number)])
        assert (root / "src" / "a.py").read_text() == "two"


def test_a_list_of_another_kind_is_refused_and_left_alone(
    root: Path, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "snapshots").write_text("octavo snapshots 99\nfuture")
    with pytest.raises(SnapshotFailed, match="version"):
        store.take()
    assert (tmp_path / "kept" / "snapshots").read_text() == "octavo snapshots 99\nfuture"


def test_refs_and_index_come_back_with_the_files(root: Path, store: Store) -> None:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@b", *words],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    git("init", "-q", "-b", "main")
    git("add", "run.sh")
    git("commit", "-qm", "one")
    (root / "run.sh").write_text("staged")
    git("add", "run.sh")
    (root / "run.sh").write_text("unstaged")
    before = tree(root)
    number = store.take()

    git("reset", "-q", "--hard")
    git("clean", "-fdxq")
    git("commit", "-q", "--allow-empty", "-m", "two")
    git("branch", "other")
    store.undo([Span(number)])

    assert tree(root) == before
    assert git("show", ":run.sh") == "staged"
    git("fsck", "--strict")


def test_both_ways_of_listing_see_the_same(root: Path) -> None:
    for folder in (".git/objects/ab", ".git/refs/heads/x/objects", ".git/modules/m/objects/cd"):
        (root / folder).mkdir(parents=True)
        (root / folder / "file").write_text("x")
    (root / "bare" / "objects").mkdir(parents=True)
    (root / "inside" / ".git" / "objects").mkdir(parents=True)

    walked = stamps(scan(root, is_large=False, limit=1000))
    found = stamps(scan(root, is_large=True, limit=1000))

    assert walked == found
    assert {path for path in walked if b"objects" in path} == {
        b".git/refs/heads/x/objects",
        b".git/refs/heads/x/objects/file",
        b"bare/objects",
        b"inside/.git/objects",
    }


@pytest.mark.parametrize("is_large", [False, True])
def test_a_folder_with_too_many_files_is_refused(root: Path, is_large: bool) -> None:
    for number in range(30):
        (root / "src" / str(number)).write_text("")
    with pytest.raises(SnapshotFailed, match="too many"):
        scan(root, is_large=is_large, limit=10)


def test_what_is_in_a_folder_that_could_not_be_listed_is_not_deleted(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for folder in (place, *tmp_path.parents[:-2], tmp_path):
        folder.chmod(0o777)
    child = os.fork()
    if child == 0:  # root lists everything
        code = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            code = 0 if _mine_is_there_after_opening_a_closed_folder(place) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _mine_is_there_after_opening_a_closed_folder(place: Path) -> bool:
    closed = place / "work" / "closed"
    closed.mkdir(parents=True)
    (closed / "mine").write_text("the person's")
    closed.chmod(0)
    store = Store(place / "work", place / "kept")
    before = store.take()
    closed.chmod(0o700)
    store.take()
    store.undo([Span(before)])
    closed.chmod(0o700)
    return (closed / "mine").exists()


names = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "a/b/c", "d e", "é"])
actions = st.one_of(
    st.tuples(st.just("write"), names, st.binary(max_size=40)),
    st.tuples(st.just("mkdir"), names, st.none()),
    st.tuples(st.just("remove"), names, st.none()),
    st.tuples(st.just("chmod"), names, st.sampled_from([0o600, 0o755, 0o400, 0o000, 0o4755])),
    st.tuples(st.just("symlink"), names, st.sampled_from(["a", "..", "/etc/passwd", "b/a"])),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("link"), names, names),
    st.tuples(st.just("fifo"), names, st.none()),
    st.tuples(st.just("append"), names, st.binary(min_size=1, max_size=4)),
)


def act(root: Path, action: tuple[str, str, object]) -> None:
    kind, name, value = action
    path = root / name
    try:
        match kind, value:
            case "write" | "append", _ if path.is_fifo():
                pass  # opening it would wait for a reader
            case "write", bytes():
                path.write_bytes(value)
            case "append", bytes():
                with path.open("ab") as file:
                    file.write(value)
            case "mkdir", _:
                path.mkdir()
            case "remove", _:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            case "chmod", int():
                os.chmod(path, value, follow_symlinks=False)
            case "symlink", str():
                path.symlink_to(value)
            case "rename", str():
                path.rename(root / value)
            case "link", str():
                os.link(path, root / value, follow_symlinks=False)
            case "fifo", _:
                os.mkfifo(path)
    except (OSError, NotImplementedError, shutil.Error):
        pass


@settings(
    max_examples=sample(400, 40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=st.lists(actions, max_size=12), then=st.lists(st.lists(actions, max_size=6), max_size=4)
)
def test_whatever_is_done_every_snapshot_can_be_had_back(
    first: list[tuple[str, str, object]],
    then: list[list[tuple[str, str, object]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("any")
    root = place / "work"
    root.mkdir()
    store = Store(root, place / "kept")
    for action in first:
        act(root, action)
    seen = [(store.take(), tree(root))]
    for some in then:
        for action in some:
            act(root, action)
        seen.append((store.take(), tree(root)))

    for number, was in reversed(seen + seen[1:]):
        left = store.undo([Span(number)]).left
        assert left == ()
        assert tree(root) == was
    shutil.rmtree(place)


def test_a_turn_keeps_at_most_twice_what_changed_on_the_disk(
    root: Path, store: Store, tmp_path: Path
) -> None:
    def kept_bytes() -> int:
        return sum(file.stat().st_size for file in (tmp_path / "kept").iterdir())

    files = [root / "many" / f"file{number}" for number in range(300)]
    files[0].parent.mkdir()
    for file in files:
        file.write_bytes(os.urandom(2_000))
    store.take()
    for turn in range(5):
        before = kept_bytes()
        changed = files[turn::10]
        for file in changed:
            file.write_bytes(os.urandom(1_500))
        files[turn].rename(files[turn].with_suffix(".moved"))
        files[turn] = files[turn].with_suffix(".moved")
        store.take()
        assert kept_bytes() - before <= 2 * 1_500 * len(changed)
