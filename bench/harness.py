"""What every figure needs: contenders, a scripted model in a process of its own, runs.

Contenders run the same command line against the same server with a home of their own, in turns, so
that whatever else the machine does meets them alike. Times between requests are the server's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).parent
MODEL = "gpt-5.5"
"""A model that both drive with one call a tool."""
DEADLINE_S = 600

Script = Sequence[dict[str, Any]]
"""Answers of `octavo.trial.answers`, as JSON."""


class Contender(NamedTuple):
    """A program that takes the command line of `codex exec`."""

    name: str
    argv: list[str]
    home: Path

    @property
    def is_octavo(self) -> bool:
        return self.name == "octavo"

    def environment(self) -> dict[str, str]:
        """Return an environment without a person's profile, keys or proxies."""
        user = self.home / "user"
        state = self.home / "state"
        user.mkdir(parents=True, exist_ok=True)
        state.mkdir(exist_ok=True)
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(user),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
            "CODEX_HOME": str(state),
            "OCTAVO_HOME": str(state),
            "MOCK_KEY": "none",
        }

    def version(self) -> str:
        """Return what `--version` prints."""
        done = subprocess.run(
            [*self.argv, "--version"],
            capture_output=True,
            check=True,
            text=True,
            env=self.environment(),
        )
        return done.stdout.strip()


class Run(NamedTuple):
    """One run of a contender.

    Attributes:
        first_request_s: from the start of the process until its first request had arrived.
        gaps_s: from the end of each reply until the next request had arrived.
        last_body: of the last request, where the server kept bodies.
    """

    wall_s: float
    peak_bytes: int
    tree_bytes: int
    cpu_s: float
    first_request_s: float
    gaps_s: list[float]
    thread_id: str
    last_body: str


class ModelServer:
    """A scripted model, running."""

    def __init__(self, base_url: str, log: Path, place: Path) -> None:
        self.base_url = base_url
        self._log = log
        self._place = place
        self._read_bytes = 0

    def run(
        self,
        contender: Contender,
        *,
        cwd: Path,
        requests: int,
        resume: str | None = None,
        watch_tree: bool = False,
    ) -> Run:
        """Run `contender` and check that it made so many requests and went well."""
        provider = (
            f'{{name="mock",base_url="{self.base_url}",env_key="MOCK_KEY",wire_api="responses"}}'
        )
        argv = [*contender.argv, "exec", "--json", "--skip-git-repo-check"]
        argv += ["-s", "workspace-write", "-C", str(cwd), "-m", MODEL]
        argv += ["-c", f"model_providers.mock={provider}", "-c", 'model_provider="mock"']
        argv += ["resume", resume] if resume else []
        argv += ["Go on."]
        report, out, err = (self._place / name for name in ("report", "stdout", "stderr"))
        report.unlink(missing_ok=True)
        spawn = [sys.executable, "-I", "-S", str(HERE / "spawn.py")]
        subprocess.run(
            [*spawn, str(report), str(out), str(err), "1" if watch_tree else "0", *argv],
            env=contender.environment(),
            timeout=DEADLINE_S,
            check=True,
        )
        started_at, ended_at, peak, cpu_s, tree, code = report.read_text().split()
        if code != "0":
            raise RuntimeError(
                f"{contender.name} ended with {code}:\n{err.read_text()[-2000:]}\n"
                f"{out.read_text()[-2000:]}"
            )
        seen = self._requests(requests, contender)
        return Run(
            wall_s=float(ended_at) - float(started_at),
            peak_bytes=int(peak),
            tree_bytes=int(tree),
            cpu_s=float(cpu_s),
            first_request_s=seen[0]["arrived_at"] - float(started_at),
            gaps_s=[after["arrived_at"] - before["replied_at"] for before, after in pairwise(seen)],
            thread_id=json.loads(out.read_text().partition("\n")[0])["thread_id"],
            last_body=seen[-1].get("body", ""),
        )

    def _requests(self, count: int, contender: Contender) -> list[dict[str, Any]]:
        """Return what was logged since the last call; the last line may still be on its way."""
        until = time.monotonic() + 5
        while True:
            with self._log.open("rb") as file:
                file.seek(self._read_bytes)
                data = file.read()
            entries = [
                json.loads(line) for line in data.splitlines(keepends=True) if line[-1:] == b"\n"
            ]
            seen = [entry for entry in entries if entry["number"]]
            if len(seen) >= count or time.monotonic() > until:
                break
            time.sleep(0.01)
        self._read_bytes += data.rfind(b"\n") + 1
        if len(seen) != count:
            raise RuntimeError(f"{contender.name} made {len(seen)} requests, not {count}")
        return seen


class Bench(NamedTuple):
    """What is compared, and how often each is run."""

    contenders: list[Contender]
    runs: int
    place: Path
    """Not under the folder for temporary files, which sandboxes treat apart."""

    @property
    def octavo(self) -> Contender:
        return self.contenders[0]

    @contextmanager
    def model(self, script: Script, *, bodies: bool = False) -> Iterator[ModelServer]:
        """Serve `script`, all of it to each thread."""
        path, log = self.place / "script.json", self.place / "requests.jsonl"
        path.write_text(json.dumps(script))
        log.write_text("")
        argv = [sys.executable, "-m", "octavo.trial.scripted", str(path), "--log", str(log)]
        argv += ["--per-thread", *(["--bodies"] if bodies else [])]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield ModelServer(process.stdout.readline().strip(), log, self.place)
            finally:
                process.kill()

    def workspace(self) -> Path:
        """Return an empty git repository."""
        path = self.place / "workspace"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        subprocess.run(["git", "init", "-q", str(path)], check=True)
        return path

    def in_turns(
        self,
        run: Callable[[Contender], Run],
        *,
        contenders: Sequence[Contender] | None = None,
        runs: int | None = None,
        warm: bool = True,
    ) -> dict[str, list[Run]]:
        """Run the contenders in turns, after one run of each that is not counted."""
        contenders = self.contenders if contenders is None else contenders
        if warm:
            for contender in contenders:
                run(contender)
        found: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for _ in range(self.runs if runs is None else runs):
            for contender in contenders:
                found[contender.name].append(run(contender))
        return found


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        values: by contender's name, in `unit`.
        goal: what octavo's value should not exceed.
        goal_ratio: what octavo's share of Codex's value should not exceed.
    """

    what: str
    unit: str
    values: dict[str, float]
    goal: float | None = None
    goal_ratio: float | None = None
    note: str = ""


def medians(
    found: dict[str, list[Run]], value: Callable[[Run], float], *, scale: float = 1
) -> dict[str, float]:
    """Return each contender's median of `value`."""
    return {name: median(map(value, runs)) * scale for name, runs in found.items() if runs}


def exec_call(command: str, **more: Any) -> dict[str, Any]:
    """Return an answer that runs one command."""
    arguments = {"cmd": command, **more}
    return {"parts": [{"type": "call", "name": "exec_command", "arguments": arguments}]}


def message(text: str = "Done.") -> dict[str, Any]:
    """Return an answer that ends the turn."""
    return {"parts": [{"type": "text", "text": text}]}


MIB = 1 / (1 << 20)
MS = 1000.0
