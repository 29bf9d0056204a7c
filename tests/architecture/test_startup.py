"""What a run imports is paid for at every start, so it is a closed list of what is worth it.

asyncio brings sockets and signals; msgspec brings datetime, decimal and uuid. What is named here
would come on top of that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from octavo.trial.scripted import say, serve

HEAVY = {
    *("bz2", "csv", "difflib", "doctest", "email", "ftplib", "gzip", "html", "http"),
    *("lzma", "multiprocessing", "pdb", "pickle", "pydoc", "shutil", "sqlite3", "tarfile"),
    *("tempfile", "tomllib", "unittest", "urllib.request", "xml", "zipfile"),
    *("httpx", "keyring", "mcp", "opentelemetry", "pydantic", "requests", "rich", "textual"),
    *("ssl", "_ssl", "hashlib", "random", "secrets", "base64", "msgspec.inspect"),
    *("starlette", "websockets", "importlib.metadata", "octavo.trial"),
    *(
        "inspect",
        "ast",
        "dis",
        "tokenize",
        "typing_extensions",
        "datetime",
        "binascii",
        "logging",
        "traceback",
        "textwrap",
    ),
    *("subprocess", "locale", "platform", "ipaddress", "json"),
    *("ctypes", "asyncio.sslproto", "anyio.streams.tls", "anyio.streams.stapled"),
    # Of octavo itself: what only a resumed thread, a patch, a fault or a way around the cage needs.
    *("octavo.agent.reopen", "octavo.store.find", "octavo.store.reading", "octavo.model.faults"),
    *("octavo.tools.patch.parse", "octavo.tools.patch.plan"),
    *("octavo.policy", "tree_sitter", "octavo.agent.permits", "octavo.agent.remembered"),
    *("octavo.config.approvals", "octavo.config.rule_files", "octavo.agent.reviewer"),
    *("octavo.sandbox.cage.files", "octavo.sandbox.filework", "octavo.sandbox.uncaged"),
    *("octavo.sandbox.net", "octavo.cli.limits"),
    # And what only those need who have hooks, or a program that is called.
    *("octavo.agent.hooks", "octavo.config.hooks", "octavo.config.hook_files"),
    *("octavo.config.consent", "octavo.agent.notify", "octavo.agent.last"),
    "octavo.context.pins",
    *("octavo.protocol.goals", "octavo.agent.goals", "octavo.agent.goal_tools"),
    "octavo.context.goal",
    *("octavo.protocol.history", "octavo.agent.shell", "octavo.context.shell_record"),
    # And what is asked of threads that are not loaded.
    *("octavo.protocol.sessions", "octavo.server.sessions", "octavo.server.history"),
    *(
        "octavo.store.index",
        "octavo.store.index_tables",
        "octavo.store.index_refresh",
        "octavo.store.gist",
    ),
    *("octavo.store.forks", "octavo.store.tape", "octavo.store.shelf"),
    *("octavo.agent.compaction", "octavo.agent.summing", "octavo.agent.workfacts"),
    *("octavo.agent.record", "octavo.tools.record", "octavo.context.parts"),
    *("yaml", "octavo.context.skills.lock", "octavo.context.skills.folder"),
    *("octavo.context.skills.bodies", "octavo.protocol.skills", "octavo.server.skills"),
    *(
        "octavo.protocol.files",
        "octavo.server.files",
        "octavo.server.cages",
        "octavo.sandbox.trees",
    ),
    *("octavo.server.search", "octavo.server.listings", "octavo.workspace.fuzzy"),
    *("octavo.server.config", "octavo.config.change", "octavo.config.edit"),
    *("octavo.sandbox.net", "octavo.model.providers.either", "octavo.model.providers.spoken"),
    *("octavo.model.providers.chat", "octavo.model.providers.messages"),
}

OURS = {"octavo", "anyio", "msgspec", "pyqwest", "sniffio"}
"""Packages whose modules are listed one by one; those of Python differ between its versions."""
LIST = Path(__file__).with_name("start.txt")
BESIDE = "octavo.workspace.snapshot"
"""Only where there are files to take back."""
OCTAVO = Path(sys.executable).parent / "octavo"


def imported(stderr: str) -> set[str]:
    """Return the modules that `-X importtime` reports."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", stderr, re.MULTILINE))


def heavy(modules: set[str]) -> set[str]:
    """Return those that are on the list, or in a package that is."""
    return {
        name
        for name in modules
        if name in HEAVY or any(name.startswith(package + ".") for package in HEAVY)
    }


@pytest.mark.anyio
async def test_a_run_imports_nothing_heavy(tmp_path: Path) -> None:
    async with serve([say("Done.")]) as server:
        done = await anyio.run_process(
            [
                *(sys.executable, "-X", "importtime", str(OCTAVO), "exec"),
                *("--skip-git-repo-check", "-c", f'openai_base_url="{server.base_url}"', "hello"),
            ],
            cwd=tmp_path,
            env={**os.environ, "OCTAVO_HOME": str(tmp_path / "home"), "OPENAI_API_KEY": "sk-test"},
            check=False,
        )

    stderr = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"Done.\n"), stderr
    modules = imported(stderr)
    assert "octavo.agent.loop" in modules
    assert heavy(modules) == set()
    listed = set(re.findall(r"^[^#\n]+$", LIST.read_text(), re.MULTILINE))
    mine = {name for name in modules if name.partition(".")[0] in OURS}
    assert mine - listed == set(), f"new on the way to the first request: see {LIST}"
    gone = {name for name in listed - mine if not name.startswith(BESIDE)}
    assert gone == set(), f"no longer imported, so take it off {LIST}"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=lambda words: words[0])
def test_help_needs_neither_the_core_nor_a_loop(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", OCTAVO, *arguments], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    modules = imported(done.stderr)
    assert heavy(modules) == set()
    assert not modules & {"asyncio", "anyio", "msgspec", "pyqwest", "octavo.agent", "octavo.server"}


def test_one_command_in_the_sandbox_needs_neither_a_loop_nor_argparse(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", OCTAVO, "sandbox", "--", "true"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    modules = imported(done.stderr)
    assert "octavo.sandbox.single" in modules
    assert not modules & {"argparse", "asyncio", "anyio", "pyqwest", "subprocess", "threading"}


@pytest.mark.anyio
async def test_a_client_is_greeted_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    hello = b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"me"}}}'
    done = await anyio.run_process(
        [sys.executable, "-X", "importtime", str(OCTAVO), "app-server"],
        input=hello,
        env={**os.environ, "OCTAVO_HOME": str(tmp_path / "home")},
        check=False,
    )

    assert b'"userAgent":"me/' in done.stdout, done.stderr.decode()
    modules = imported(done.stderr.decode())
    assert "octavo.server.connection" in modules
    later = {"argparse", "octavo.agent.thread", "octavo.model", "octavo.sandbox", "octavo.store"}
    assert (heavy(modules) | modules & later) == set()
