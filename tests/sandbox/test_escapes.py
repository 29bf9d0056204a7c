"""Ways out of the cage, each tried for real, in each tier and on imitated hosts.

The ways are tables in `tests.sandbox.escapes`. What the reduced tier cannot stop it has to declare:
a way that gets out there must be marked with a gap, and the gap be among those told to the person.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from octavo.sandbox import Sandbox
from tests.sandbox.conftest import Machine, python, shell
from tests.sandbox.escapes import HEAD, Way, machine
from tests.sandbox.escapes.attempt import Outcome
from tests.sandbox.escapes.tables import WAYS
from tests.tiers import skip_or_fail

HOSTS = {
    "container": ("landlock", "landlock"),
    "apparmor": ("landlock", "landlock"),
    "only-bwrap": ("bubblewrap", "bubblewrap"),
    "no-namespaces": ("namespaces", "landlock"),
}
"""Imitated hosts, and the tier that is to be expected there by root and by an ordinary user."""

_ROOT = Path(__file__).parents[2]
_RESTRICT = str(Path(__file__).with_name("restricted_host.py"))
_REFUSALS = (
    "OSError", "PermissionError", "FileNotFoundError", "ConnectionRefusedError",
    "ProcessLookupError", "AssertionError", "KeyError", "FileExistsError", "TimeoutError",
    "RuntimeError", "IsADirectoryError", "ValueError: not allowed to raise maximum limit",
    "shutil.Error", "subprocess.CalledProcessError", "BrokenPipeError", "NotADirectoryError",
)  # fmt: skip


def _attempt(tier: str, host: str = "") -> Outcome:
    """Try every way in one cage, on a machine of its own."""
    root = tempfile.mkdtemp(prefix="octavo-escape-", dir="/var/tmp")
    argv = [sys.executable, "-m", "tests.sandbox.escapes.attempt", tier, root]
    if host:
        argv = [sys.executable, _RESTRICT, host, *argv]
    home = os.path.join(root, "home")
    env = {**os.environ, "HOME": home, "OCTAVO_HOME": f"{home}/.octavo"}
    env["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *sys.path])
    try:
        run = subprocess.run(argv, env=env, cwd=_ROOT, capture_output=True, check=False)
        assert run.returncode == 0, run.stderr.decode()
        return msgspec.json.decode(run.stdout, type=Outcome)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def outcome(tier: str, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What came of all ways in a tier: tried once, whichever process of the tests asks first."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with open(shared / f"escapes-{tier}.json", "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        told = file.read()
        if not told:
            told = msgspec.json.encode(_attempt(tier))
            file.write(told)
    outcome = msgspec.json.decode(told, type=Outcome)
    if outcome.refused:
        skip_or_fail(outcome.refused, tier)
    return outcome


def _escaped(way: Way, outcome: Outcome) -> str:
    """Return what went wrong; "" when the wall held, or what gave way is a declared gap."""
    said, status = outcome.said[way.name]
    if status == signal.SIGSYS:
        return ""
    if outcome.tier == "landlock" and way.gap:
        declared = any(gap.startswith(way.gap) for gap in outcome.gaps)
        return "" if declared else f"{way.name}: the gap is not declared"
    last = said.strip().rpartition("\n")[2]
    held = "ESCAPED" not in said and status == 0 and last.startswith(_REFUSALS)
    return "" if held else f"{way.name}: {said or status}"


def _assert_nothing_escaped(outcome: Outcome) -> None:
    assert [text for way in WAYS if (text := _escaped(way, outcome))] == []
    assert outcome.damage == ()
    assert outcome.undone


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_command_cannot(way: Way, outcome: Outcome) -> None:
    assert _escaped(way, outcome) == ""


def test_after_all_of_it_everything_is_as_it_was(outcome: Outcome) -> None:
    _assert_nothing_escaped(outcome)


@pytest.mark.parametrize("host", HOSTS)
def test_nor_can_it_where_the_host_allows_less(host: str) -> None:
    expected = HOSTS[host][0 if os.geteuid() == 0 else 1]
    outcome = _attempt("any", host)
    if outcome.tier != expected:
        skip_or_fail(f"{outcome.tier}, {outcome.refused}", expected)

    _assert_nothing_escaped(outcome)


def test_without_a_cage_an_ordinary_user_gets_out_by_these_ways() -> None:
    if os.geteuid() == 0:
        pytest.skip("the ordinary user's run of these tests does this")
    cases = {way.name: HEAD + way.script for way in WAYS if way.canary}
    run = subprocess.run(
        [sys.executable, "-I", machine.__file__],
        input=json.dumps(cases), stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    said = json.loads(run.stdout)

    assert {name: text for name, text in said.items() if not text.endswith("ESCAPED")} == {}
    assert len(said) >= 100


def test_the_suite_is_large_and_each_way_has_a_name_of_its_own() -> None:
    assert len(WAYS) >= 200
    assert len({way.name for way in WAYS}) == len(WAYS)


@pytest.mark.parametrize("tier", ["landlock"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "echo x >> .git/config",
        "echo '#!/bin/sh' > .git/hooks/pre-commit",
        "rm -rf .git/hooks; ln -s /etc .git/hooks",
        "mv .git moved && mkdir .git && echo bad > .git/config",
        "rm .mcp.json; mkdir .mcp.json; touch .mcp.json/x",
        "mkdir .claude; echo '{}' > .claude/settings.json",
        "echo x > .envrc; ln -s /etc/passwd .idea",
        "(sleep 100; echo late >> .git/config) & echo x > .git/commondir",
    ],
)
@pytest.mark.anyio
async def test_in_the_reduced_tier_damage_to_protected_names_is_undone(
    damage: str, cage: Sandbox, machine: Machine
) -> None:
    before = _protected(machine.workspace)

    await shell(cage, damage, machine.workspace)

    assert _protected(machine.workspace) == before
    assert not (machine.workspace / "moved").exists()


def _protected(workspace: Path) -> dict[str, str]:
    """Return what is at the protected names: content by path."""
    found: dict[str, str] = {}
    for name in (".git", ".mcp.json", ".claude", ".envrc", ".idea", ".codex"):
        top = workspace / name
        for path in [top, *sorted(top.rglob("*"))] if top.is_dir() else [top]:
            if path.is_symlink() or path.exists():
                inside = str(path.relative_to(workspace))
                found[inside] = path.read_text(errors="replace") if path.is_file() else "."
    return found


@pytest.mark.anyio
async def test_a_swapped_link_never_leads_a_write_out(cage: Sandbox, machine: Machine) -> None:
    script = """
import os, threading
ws, out = os.environ['WS'], os.environ['OUT']
os.makedirs(ws + '/race/real', exist_ok=True)
def flip():
    for n in range(1000):
        os.symlink(out, ws + f'/race/l{n % 2}')
        os.rename(ws + f'/race/l{n % 2}', ws + '/race/d')
        os.symlink(ws + '/race/real', ws + '/race/l')
        os.rename(ws + '/race/l', ws + '/race/d')
thread = threading.Thread(target=flip)
thread.start()
wrote = 0
while thread.is_alive():
    try:
        with open(ws + '/race/d/new', 'w'): wrote += 1
    except OSError: pass
thread.join()
print('wrote', wrote > 0)
"""
    _, output = await python(cage, script, machine.workspace, machine.env())

    assert "wrote True" in output
    assert (machine.outside / "precious").read_text() == "precious"
    assert os.listdir(machine.outside) == ["precious"]


@pytest.mark.parametrize("tier", ["namespaces"], indirect=True)
@pytest.mark.anyio
async def test_a_command_has_a_limited_number_of_processes(cage: Sandbox, machine: Machine) -> None:
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    if release < (6, 14):
        pytest.skip("this kernel counts processes for the whole machine")
    script = """
import _thread
_thread.stack_size(65536)
lock = _thread.allocate_lock()
lock.acquire()
for _ in range(5000):
    _thread.start_new_thread(lock.acquire, ())
"""
    _, output = await python(cage, script, machine.workspace)

    assert "can't start new thread" in output
