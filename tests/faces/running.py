"""Runs `octavo exec` as the process it is, against a scripted model."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec
import pytest

from octavo.trial import scripted
from octavo.trial.scripted import Script

OCTAVO = [sys.executable, "-m", "octavo"]
TIMEOUT_S = 60


class Done(msgspec.Struct):
    """How a run ended and what it printed."""

    status: int
    out: str
    err: str
    requests: list[dict[str, Any]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What --json printed; every line is an event, and the last one is whole."""
        assert self.out == "" or self.out.endswith("\n")
        return [msgspec.json.decode(line) for line in self.out.splitlines()]

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def items(self, type_: str, kind: str = "item.completed") -> list[dict[str, Any]]:
        """The items of one type, as they were started, updated or completed."""
        return [
            event["item"]
            for event in self.events
            if event["type"] == kind and event["item"]["type"] == type_
        ]

    def outputs(self, request: int = -1) -> list[str]:
        """The outputs of calls that a request carried."""
        return [str(i["output"]) for i in self.requests[request]["input"] if "output" in i]

    @property
    def thread_id(self) -> str:
        return str(self.events[0]["thread_id"])


class Running(msgspec.Struct):
    """A run that has not ended."""

    process: anyio.abc.Process
    model: scripted.Server

    async def line(self, holding: str) -> str:
        """Read stdout up to a line that holds `holding`."""
        assert self.process.stdout is not None
        text = ""
        with anyio.fail_after(TIMEOUT_S):
            while holding not in text or not text.endswith("\n"):
                text += (await self.process.stdout.receive()).decode()
        return text

    def signal(self, number: int) -> None:
        """Send a signal. `Process.send_signal` could take the exit status from asyncio."""
        try:
            os.kill(self.process.pid, number)
        except ProcessLookupError:
            pass

    async def ended(self) -> Done:
        """Wait for the end; what `line` has read is not in it."""
        out = err = b""
        with anyio.fail_after(TIMEOUT_S):
            if self.process.stdout is not None:
                out = b"".join([chunk async for chunk in self.process.stdout])
            if self.process.stderr is not None:
                err = b"".join([chunk async for chunk in self.process.stderr])
            status = await self.process.wait()
        assert b"Traceback" not in err, err.decode()
        return Done(status, out.decode(), err.decode(), _bodies(self.model))


class Place:
    """A git repository and a home, where the sandbox decides what can be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.home = root / "octavo-home"
        self.work.mkdir()
        self.env = {
            "HOME": str(root),
            "OCTAVO_HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "COLUMNS": "100",
        }
        subprocess.run(["git", "init", "-q"], cwd=self.work, check=True)

    def settings(self, text: str) -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / "config.toml").write_text(text)

    async def exec(self, script: Script, *words: str, **options: Any) -> Done:
        """Run it to its end; see `running`."""
        async with self.running(script, *words, **options) as run:
            return await run.ended()

    @asynccontextmanager
    async def running(
        self,
        script: Script,
        *words: str,
        cwd: Path | None = None,
        stdin: str | int = "",
        before: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        provider: bool = True,
        **popen: Any,
    ) -> Any:
        """Start `octavo exec WORDS`; `provider`: point it at the scripted model."""
        async with scripted.serve(script) as model:
            argv = [*before, *OCTAVO, "exec", *words]
            if provider:
                argv += trial_provider(model.base_url)
            piped = isinstance(stdin, str)
            popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
            async with await anyio.open_process(
                argv,
                stdin=subprocess.PIPE if piped else stdin,
                cwd=cwd or self.work,
                env={**self.env, **(env or {})},
                **popen,
            ) as process:
                try:
                    if piped and process.stdin is not None:
                        await process.stdin.send(stdin.encode())
                        await process.stdin.aclose()
                    yield Running(process, model)
                finally:
                    if process.returncode is None:
                        Running(process, model).signal(signal.SIGKILL)


def trial_provider(base_url: str) -> list[str]:
    """The flags that point octavo at a scripted model."""
    table = f'model_providers.trial={{name="trial",base_url="{base_url}"}}'
    return ["-c", table, "-c", 'model_provider="trial"', "-c", 'model="scripted"']


def _bodies(model: scripted.Server) -> list[dict[str, Any]]:
    return [msgspec.json.decode(request.body) for request in model.requests]


@pytest.fixture
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="octavo-exec-", dir=Path.home()))
    yield Place(root)
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o700)
    shutil.rmtree(root, ignore_errors=True)
