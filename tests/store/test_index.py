"""The index: right whatever becomes of its file, and never read twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sampling import sample
from tests.store.logs import AT_MS, add_turn, write_thread

from octavo.protocol.events import Noticed, ThreadNamed, TurnsUndone, UndoUndone
from octavo.store import index_refresh, shelf
from octavo.store.index import Index
from octavo.store.index_tables import Filter, Place, Row
from octavo.store.rollout import Rollout

ALL = Filter(limit=100)


def rows(index: Index, wanted: Filter = ALL) -> list[Row]:
    return index.threads(wanted).rows


def found(index: Index, words: str, wanted: Filter = ALL) -> list[str]:
    return [hit.row.id for hit in index.search(words, wanted)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_a_thread_is_one_row_of_what_its_log_says(home: Path) -> None:
    thread_id, path = write_thread(home, ("fix\n the  tests", "Done."), ("thanks", "Welcome."))

    assert rows(Index(home)) == [
        Row(
            id=thread_id,
            path=str(path),
            archived=False,
            cwd="/w",
            created_at=AT_MS,
            updated_at=AT_MS + 2005,
            preview="fix the tests",
            name="",
            model="m2",
            provider="p2",
            source="exec",
            version="0.1.0",
            git_branch=None,
            git_commit=None,
            forked_from=None,
            turns=2,
            tokens=20,
        )
    ]


def test_only_what_was_added_to_a_log_is_read(home: Path) -> None:
    _, path = write_thread(home, ("one", "first"))
    index = Index(home)
    before = rows(index)[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"first", b"FIRST"))  # in place: what was read stays read
    with Rollout.open(path) as log:
        add_turn(log, "two", "second", at_ms=AT_MS + 9000)

    assert (before.turns, rows(index)[0].turns, rows(index)[0].tokens) == (1, 2, 20)
    assert len(found(index, "second")) == len(found(index, "first")) == 1


def test_a_log_that_is_another_one_now_is_read_anew(home: Path) -> None:
    _, path = write_thread(home, ("apple", "pear"), ("plum", "fig"))
    index = Index(home)
    assert rows(index)[0].turns == 2
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]))

    assert rows(index)[0].turns == 1
    assert found(index, "plum") == []
    assert len(found(index, "apple")) == 1
    path.write_bytes(b"".join(lines).replace(b"apple", b"a longer word"))

    assert rows(index)[0].turns == 2
    assert found(index, "apple") == []
    assert len(found(index, "longer word")) == len(found(index, "plum")) == 1


def test_a_line_that_is_being_written_is_read_when_it_is_whole(home: Path) -> None:
    _, path = write_thread(home, ("apple", "pear"))
    index = Index(home)
    rows(index)
    line = b'{"type":"thread_named","at_ms":1,"name":"mine"}\n'
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert rows(index)[0].name == ""
        file.write(line[20:])
    assert rows(index)[0].name == "mine"


def test_a_thread_whose_first_line_is_being_written_is_listed_when_it_is_there(home: Path) -> None:
    thread_id, path = write_thread(home, ("apple", "pear"))
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    index = Index(home)
    assert rows(index) == []
    path.write_bytes(whole)
    assert [row.id for row in rows(index)] == [thread_id]


@pytest.mark.parametrize("read_bytes", [1, 50, 700])
def test_a_log_longer_than_is_read_at_once_is_read_whole(
    home: Path, read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id, _ = write_thread(home, ("apple", "pear"), ("plum", "fig" * 300))
    monkeypatch.setattr(index_refresh, "_READ_BYTES", read_bytes)
    index = Index(home)
    assert [row.turns for row in rows(index)] == [2]
    assert found(index, "pear") == found(index, "plum") == [thread_id]
    assert index.rebuild().messages == 4


def test_foreign_and_damaged_lines_cost_only_themselves(home: Path) -> None:
    thread_id, path = write_thread(home, ("apple", "pear"))
    with path.open("ab") as file:
        file.write(b'{"type":"user_spoke","at_ms":"no"}\n\x80\xff\n{"type":"spent"\n{}\n')
    with Rollout.open(path) as log:
        add_turn(log, "plum", "fig")
    foreign = path.with_name("rollout-2026-01-01T00-00-00-" + "f" * 36 + ".jsonl")
    foreign.write_text('{"type":"session_meta"}\n{"type":"user_spoke"}\n')

    index = Index(home)
    assert [(row.id, row.turns) for row in rows(index)] == [(thread_id, 2)]
    assert found(index, "fig") == [thread_id]


def test_words_are_found_in_what_user_and_model_said(home: Path) -> None:
    one, _ = write_thread(home, ("please fix the NAÏVE parser", "It was c++ code."), cwd="/a")
    two, _ = write_thread(home, ("write docs", "The parser is documented."), at_ms=AT_MS + 99)
    index = Index(home)

    assert found(index, "parser") == [two, one]
    assert found(index, "naive pars") == [one]
    assert found(index, "parser documented") == [two]
    assert found(index, "parser code") == []  # in one message
    assert found(index, "c++") == [one]
    assert found(index, '"') == found(index, "AND OR (") == found(index, "nowhere") == []
    assert found(index, "parser", Filter(cwds=("/a",))) == [one]
    [hit] = index.search("documented", ALL)
    assert (hit.snippet, hit.role) == ("The parser is documented.", "assistant")


def test_without_full_text_search_parts_of_words_are_found(home: Path) -> None:
    one, _ = write_thread(home, ("please fix the parser", "100% done_"))
    write_thread(home, ("write docs", "ok"))
    index = Index(home, full_text=False)

    assert found(index, "arser PLEASE") == [one]
    assert found(index, "100%") == found(index, "e_") == [one]
    assert found(index, "%") == [one]
    assert found(Index(home), "arser") == []  # one made without is made anew
    assert found(Index(home), "parser") == [one]


def test_pages_follow_each_other_in_every_order(home: Path) -> None:
    made = [write_thread(home, (f"t{n}", "x"), at_ms=AT_MS + n // 2 * 1000)[0] for n in range(7)]
    index = Index(home)
    for ascending in (True, False):
        seen: list[str] = []
        after = None
        while True:
            page = index.threads(Filter(ascending=ascending, after=after, limit=2))
            seen += [row.id for row in page.rows]
            if not page.more:
                break
            after = Place(page.rows[-1].created_at, page.rows[-1].id)
        assert seen == (made if ascending else made[::-1])


def test_filters_choose(home: Path) -> None:
    one, path = write_thread(home, ("50% of apples", "x"), cwd="/a", source="cli")
    two, _ = write_thread(home, ("pears", "x"), cwd="/b")
    index = Index(home)
    shelf.rename(path, "Fruit", AT_MS + 10**9)

    assert [r.id for r in rows(index, Filter(cwds=("/a", "/c")))] == [one]
    assert rows(index, Filter(cwds=())) == []
    assert [r.id for r in rows(index, Filter(sources=("cli",)))] == [one]
    assert [r.id for r in rows(index, Filter(providers=("p2",), excluded=(one,)))] == [two]
    assert [r.id for r in rows(index, Filter(term="frui"))] == [one]
    assert [r.id for r in rows(index, Filter(term="0% of"))] == [one]
    assert rows(index, Filter(term="_")) == []
    newest = rows(index, Filter(sort="updated_at"))
    assert [r.updated_at for r in newest] == [AT_MS + 1005] * 2  # a name does not make it newer


def test_a_thread_that_is_moved_or_gone_is_so_in_the_index(home: Path) -> None:
    one, path = write_thread(home, ("apples", "x"))
    index = Index(home)
    rows(index)

    moved = shelf.archive(home, path)
    assert rows(index) == []
    assert [r.path for r in rows(index, Filter(archived=True))] == [str(moved)]
    assert found(index, "apples") == []
    assert shelf.unarchive(home, moved) == path
    assert found(index, "apples") == [one]
    path.unlink()
    assert rows(index) == []
    assert index.thread(one) is None
    write_thread(home, ("pears", "x"))  # may get the number that the other one had
    assert len(found(index, "pears")) == 1
    assert found(index, "apples") == []


def answers(index: Index) -> object:
    return rows(index), found(index, "common"), found(index, "w3 com"), found(index, "w5")


def fill(home: Path) -> None:
    for n in range(40):
        words = " ".join(f"w{(n * k) % 11}" for k in range(9))
        write_thread(home, (f"common {words}", f"answer {n}"), at_ms=AT_MS + n)


def garbage(file: Path, seed: int) -> None:
    file.write_bytes(random.Random(seed).randbytes(20_000))


def another_version(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 999")
    db.execute("DROP TABLE threads")
    db.close()


def no_table(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("DROP TABLE texts")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: garbage(file, 1),
        lambda file: os.truncate(file, file.stat().st_size // 2),
        lambda file: os.truncate(file, 100),
        another_version,
        no_table,
    ],
    ids=["deleted", "empty", "garbage", "half", "stump", "version", "table"],
)
def test_whatever_becomes_of_the_file_the_answers_are_the_same(home: Path, harm: object) -> None:
    fill(home)
    index = Index(home)
    before = answers(index)
    assert index.path.stat().st_mode & 0o777 == 0o600

    harm(index.path)  # type: ignore[operator]  # one of those above

    assert answers(index) == before
    assert answers(Index(home)) == before
    assert index._memory is None


@given(seed=st.integers(0, 10**9))
@settings(max_examples=sample(400, 15), deadline=None)
def test_a_page_of_garbage_in_it_is_noticed(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    home = Path(tmp_path_factory.mktemp("home"))
    fill(home)
    index = Index(home)
    before = answers(index)
    page = chance.randrange(index.path.stat().st_size // 4096)
    with index.path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" + chance.randbytes(4095))

    assert answers(Index(home)) == before


def test_where_it_cannot_be_written_the_answers_are_the_same(home: Path) -> None:
    fill(home)
    before = answers(Index(home))
    Index(home).path.unlink()
    Index(home).path.parent.rmdir()
    Index(home).path.parent.write_text("in the way")
    index = Index(home)

    assert answers(index) == before
    assert not index.rebuild().stored
    write_thread(home, ("brandnew", "x"))
    assert len(found(index, "brandnew")) == 1


def test_on_a_full_disk_the_answers_are_the_same(home: Path) -> None:
    fill(home)
    before = answers(Index(home))
    Index(home).path.unlink()
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.store.test_index import Index, answers\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "index = Index(Path(sys.argv[1]))\n"
        "print(answers(index)); assert index._memory is not None"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (f"{before}\n", "")
    assert answers(Index(home)) == before


def test_asking_where_there_is_nothing_makes_nothing(home: Path) -> None:
    index = Index(home / "none")
    assert rows(index) == []
    assert found(index, "x") == []
    assert not (home / "none").exists()


def test_asking_twice_writes_nothing(home: Path) -> None:
    fill(home)
    index = Index(home)
    answers(index)
    before = [(f.name, f.stat().st_mtime_ns) for f in index.path.parent.iterdir()]
    answers(Index(home))
    assert [(f.name, f.stat().st_mtime_ns) for f in index.path.parent.iterdir()] == before


def test_a_rebuild_reads_every_log(home: Path) -> None:
    fill(home)
    built = Index(home).rebuild()
    assert (built.threads, built.messages, built.stored) == (40, 80, True)


def _write_and_ask(home: str, number: int) -> None:
    index = Index(Path(home))
    for n in range(15):
        thread_id, path = write_thread(Path(home), (f"from{number} common", "x"))
        assert thread_id in found(index, f"from{number}", Filter(limit=1000))
        with Rollout.open(path) as log:
            log.append(ThreadNamed(AT_MS, f"{number}-{n}"))
            log.append(Noticed(AT_MS, "x"))
    assert index._memory is None


def test_several_processes_may_use_it_at_once(home: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write_and_ask, args=(str(home), n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    index = Index(home)
    assert len(found(index, "common")) == 45
    assert {row.name for row in rows(index)} == {f"{p}-{n}" for p in range(3) for n in range(15)}


def test_what_was_undone_is_not_found_until_that_is_taken_back(home: Path) -> None:
    _, path = write_thread(home, ("begin", "first"))
    index = Index(home)
    assert rows(index)[0].turns == 1
    with Rollout.open(path) as log:
        turn_id = add_turn(log, "mistake", "second")
        assert found(index, "mistake")
        log.append(TurnsUndone(AT_MS, (turn_id,), conversation=True))

    for asked in (index, Index(home)):
        assert (found(asked, "mistake"), found(asked, "second")) == ([], [])
        assert len(found(asked, "first")) == 1
        assert (rows(asked)[0].turns, rows(asked)[0].tokens) == (1, 20)
    assert index.rebuild().messages == 2
    fork = shelf.fork_point(home, path, None)
    assert fork.end_bytes < path.read_bytes().index(b"mistake")

    with Rollout.open(path) as log:
        log.append(UndoUndone(AT_MS))
    assert rows(index)[0].turns == 2
    assert len(found(index, "mistake")) == 1


def test_an_undo_of_files_alone_hides_nothing(home: Path) -> None:
    _, path = write_thread(home)
    with Rollout.open(path) as log:
        turn_id = add_turn(log, "mistake", "second")
        log.append(TurnsUndone(AT_MS, (turn_id,), conversation=False))
    assert len(found(Index(home), "mistake")) == 1


def test_an_undo_is_noticed_in_a_log_longer_than_is_read_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_refresh, "_READ_BYTES", 300)
    _, path = write_thread(home, *((f"one {n}", "x" * 200) for n in range(9)))
    index = Index(home)
    assert rows(index)[0].turns == 9
    with Rollout.open(path) as log:
        turn_id = add_turn(log, "mistake", "second")
        log.append(TurnsUndone(AT_MS, (turn_id,), conversation=True))
        add_turn(log, "better", "third")
    assert (rows(index)[0].turns, found(index, "mistake")) == (10, [])
    assert found(index, "better")
