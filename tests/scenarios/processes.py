"""`octavo exec` as a real process in a place of its own, and what can be said of it afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from octavo.agent.transcript import Transcript
from octavo.faces.exec.json_events import JsonEvents
from octavo.model.providers.marks import sendable
from octavo.protocol.events import Event
from octavo.protocol.fold import fold
from octavo.protocol.project import Projection
from octavo.store.reading import Reading, read

OCTAVO = Path(sys.executable).with_name("octavo")
DEADLINE_S = 30


class Place:
    """A workspace, a home and a folder for temporary files, all below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.home = root / "home"
        self.tmp = root / "tmp"
        self.work.mkdir()
        self.tmp.mkdir()
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        (self.work / "notes.txt").write_text("count\n")
        subprocess.run([*git, "init", "-q"], cwd=self.work, check=True)
        subprocess.run([*git, "add", "."], cwd=self.work, check=True)
        subprocess.run([*git, "commit", "-qm", "Begin"], cwd=self.work, check=True)

    def env(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "OCTAVO_HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            **more,
        }

    def logs(self) -> list[Path]:
        return sorted(self.home.glob("sessions/*/*/*/rollout-*.jsonl"))

    def files(self) -> set[str]:
        """What is in the home, without what is always there once it was used."""
        caches = ("cache/login-env.json", "cache/skills.msgpack")
        usual = ("cache/placeholders/", *caches, "sessions/", "snapshots/")
        found = (str(p.relative_to(self.home)) for p in self.home.rglob("*") if not p.is_dir())
        return {
            name
            for name in found
            if not name.startswith(usual) or name.endswith((".lock", ".tmp", ".new"))
        }

    def processes(self) -> dict[int, str]:
        """What runs in this place: by working directory, environment or command line."""
        mark = os.fsencode(self.root)
        found: dict[int, str] = {}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            with suppress(OSError):
                folder = f"/proc/{name}"
                said = Path(folder, "cmdline").read_bytes()
                if _state(name) in "ZX":
                    continue
                if (
                    mark in said
                    or os.fsencode(os.readlink(f"{folder}/cwd")).startswith(mark)
                    or mark in Path(folder, "environ").read_bytes()
                ):
                    found[int(name)] = said.replace(b"\0", b" ").decode(errors="replace")
        return found


@contextmanager
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="octavo-test-", dir=Path.home()))
    try:
        yield Place(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


class Run:
    """One `octavo exec --json` that has been started.

    Attributes:
        shown: the lines it has printed, decoded.
    """

    def __init__(self, place: Place, process: asyncio.subprocess.Process) -> None:
        self.place = place
        self.process = process
        self.shown: list[dict[str, Any]] = []
        self.stderr = b""
        self._reading = asyncio.gather(self._read(), self._read_stderr())
        self._printed = asyncio.Event()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.endswith(b"\n"):
                self.shown.append(msgspec.json.decode(line))
                self._printed.set()

    async def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        self.stderr = await self.process.stderr.read()

    @property
    def thread_id(self) -> str | None:
        if self.shown and self.shown[0]["type"] == "thread.started":
            return str(self.shown[0]["thread_id"])
        return None

    def completed(self) -> list[dict[str, Any]]:
        """The finished items that were shown, without the ids that are of one run."""
        return completed(self.shown)

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait for a line of type `kind`, whose item has these fields."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event in self.shown:
                    item = event.get("item", {})
                    if event["type"] == kind and fields.items() <= item.items():
                        return event
                self._printed.clear()
                await self._printed.wait()

    async def end(self) -> int:
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(DEADLINE_S):
            await self._reading
            return await self.process.wait()

    async def kill(self) -> bool:
        """SIGKILL it, and wait until all it started is gone; False if it had ended by itself."""
        if self.process.returncode is not None:
            await self.end()
            return False
        tree = _stopped_tree(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        status = await self.end()
        deadline = time.monotonic() + DEADLINE_S
        while (
            left := {pid for pid in tree if _alive(pid, tree[pid])} | self.place.processes().keys()
        ):
            assert time.monotonic() < deadline, (left, self.place.processes())
            await asyncio.sleep(0.01)
        return status == -signal.SIGKILL


async def begin(
    place: Place,
    base_url: str,
    *words: str,
    model: str | None = "scripted",
    env: dict[str, str] | None = None,
    **options: Any,
) -> Run:
    """Start `octavo exec --json` with `words` on the model at `base_url`."""
    process = await asyncio.create_subprocess_exec(
        *argv(base_url, *words, model=model),
        cwd=options.pop("cwd", place.work),
        env=place.env() if env is None else env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 26,
        **options,
    )
    return Run(place, process)


def argv(base_url: str, *words: str, model: str | None = "scripted") -> list[str]:
    provider = f'model_providers.trial={{name="trial",base_url="{base_url}"}}'
    settings = ["-c", provider, "-c", 'model_provider="trial"']
    if model is not None:
        settings += ["-c", f'model="{model}"']
    return [str(OCTAVO), "exec", "--json", *settings, *words]


def completed(shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in event["item"].items() if name != "id"}
        for event in shown
        if event["type"] == "item.completed" and event["item"]["type"] != "todo_list"
    ]


def replayed(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The finished items that a run with these events would have shown."""
    projection, lines = Projection("thread"), JsonEvents()
    shown = [line for event in events for note in projection(event) for line in lines(note)]
    return completed(shown)


def history(reading: Reading) -> bytes:
    """What a log gives the scripted model to read, as it stands in a request."""
    sent = (sendable(item, "trial") for item in Transcript(fold(reading.events)).items())
    return b",".join(item for item in sent if item is not None)


def input_of(body: bytes) -> bytes:
    """A request's `input`, without the brackets."""
    mark = b',"input":['
    return body[body.index(mark) + len(mark) : body.rindex(b"]")]


def stem(body: bytes) -> bytes:
    """What every later request of the thread begins with."""
    assert body.endswith(b"]}")
    return body[:-2]


def check_history(body: bytes) -> None:
    """Every call of a request has exactly one output, after it and in order."""
    calls: list[str] = []
    answered: list[str] = []
    for item in msgspec.json.decode(body)["input"]:
        if item["type"].endswith("_call_output"):
            assert item["call_id"] in calls
            answered.append(item["call_id"])
        elif "call_id" in item:
            calls.append(item["call_id"])
    assert answered == calls
    assert len(set(calls)) == len(calls)


def log_of(place: Place) -> Reading:
    """The only log there is."""
    [path] = place.logs()
    return read(path)


def _stopped_tree(root: int) -> dict[int, str]:
    """Stop `root`, so that it starts nothing more; return it and all below with their births."""
    with suppress(ProcessLookupError):
        os.kill(root, signal.SIGSTOP)
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                parents.setdefault(int(_fields(name)[1]), []).append(int(name))
    tree, todo = {}, [root]
    while todo:
        pid = todo.pop()
        with suppress(OSError):
            tree[pid] = _fields(str(pid))[19]
        todo += parents.get(pid, [])
    return tree


def _fields(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …"""
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()


def _state(pid: str) -> str:
    return _fields(pid)[0]


def _alive(pid: int, born: str) -> bool:
    try:
        fields = _fields(str(pid))
    except OSError:
        return False
    return fields[0] not in "ZX" and fields[19] == born
