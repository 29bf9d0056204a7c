"""Logs that were damaged, or never were ours."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.events import AT_MS, THREAD_ID, noticed, started

from octavo.protocol.errors import StoreError
from octavo.protocol.events import FORMAT, CallEnded, ThreadStarted
from octavo.store.reading import read, read_header
from octavo.store.rollout import Rollout

HEADER = msgspec.json.encode(started()) + b"\n"
NOTICE = msgspec.json.encode(noticed(1)) + b"\n"


def test_lines_that_are_no_events_are_passed_over_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(HEADER + b"\x00\xff garbage\n" + NOTICE + b"\n" + b'{"type":"new"}\n' + NOTICE)

    reading = read(path)

    assert reading.events == [started(), noticed(1), noticed(1)]
    assert reading.torn is None
    assert [w.partition(" is not an event")[0] for w in reading.warnings] == [
        f"{path}:2",
        f"{path}:5",
    ]


def test_a_torn_last_line_is_handed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(HEADER + NOTICE[:20])

    reading = read(path)

    assert (reading.events, reading.torn, reading.warnings) == ([started()], NOTICE[:20], ())


def test_a_last_event_without_its_newline_is_an_event(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(HEADER + NOTICE[:-1])

    assert read(path).events == [started(), noticed(1)]


def test_an_unknown_field_of_a_known_event_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(HEADER + NOTICE[:-2] + b',"later":1}\n')

    assert read(path).events == [started(), noticed(1)]


def test_a_newer_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"type":"thread_started","format":%d,"odd":1}\n' % (FORMAT + 1) + NOTICE)

    with pytest.raises(StoreError, match=r"newer octavo .*Upgrade octavo"):
        read(path)


@pytest.mark.parametrize(
    "data",
    [
        b'{"timestamp":"2026-01-01","type":"session_meta","payload":{}}\n{"type":"event_msg"}\n',
        b"# notes\nof mine\n",
        b"\x89PNG\r\n\x1a\n\x00\x00\n",
        NOTICE + NOTICE,
    ],
)
def test_what_is_no_log_of_octavo_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(data)

    with pytest.raises(StoreError, match="does not begin as a thread of octavo does"):
        read(path)
    assert read_header(path) is None


def test_an_empty_log_holds_no_events(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.touch()

    assert read(path).events == []


@pytest.mark.parametrize("cut_bytes", [1, 10, 25, 40])
def test_a_log_of_nothing_but_beginnings_is_ours_and_empty(tmp_path: Path, cut_bytes: int) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(HEADER[:cut_bytes])
    assert read(path).events == []
    assert read(path).torn == HEADER[:cut_bytes]

    path.write_bytes(HEADER[:cut_bytes] + b"\n" + NOTICE[:9])  # as a full disk fences one off
    reading = read(path)

    assert reading.events == []
    assert reading.torn == NOTICE[:9]
    assert len(reading.warnings) == 1


@given(st.binary(max_size=200))
def test_no_bytes_after_a_header_break_the_reading(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "log.jsonl"
    path.write_bytes(HEADER + data)

    reading = read(path)

    assert isinstance(reading.events[0], ThreadStarted)
    assert len(reading.events) + len(reading.warnings) <= len(data.split(b"\n")) + 1


def test_reading_a_thread_costs_as_much_an_event_when_it_is_long(tmp_path: Path) -> None:
    raw = msgspec.Raw(msgspec.json.encode({"type": "function_call_output", "output": "x" * 900}))

    def least_s(number: int) -> float:
        with Rollout.create(tmp_path / str(number), THREAD_ID, AT_MS) as rollout:
            rollout.append(started())
            for _ in range(number):
                rollout.append(CallEnded("t1", "c1", AT_MS, raw))
        spent_s = []
        for _ in range(5):
            before_s = time.process_time()
            reading = read(rollout.path)
            spent_s.append(time.process_time() - before_s)
            assert len(reading.events) == number + 1
        return min(spent_s)

    assert least_s(20_000) / 20_000 < 3 * least_s(1_000) / 1_000
