"""Hosts that allow less: a weaker tier that says so, or a refusal that says why. Never nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from octavo.sandbox import refusal
from tests.tiers import machine_has, skip_or_fail

_RESTRICT = str(Path(__file__).with_name("restricted_host.py"))
BWRAP = "/usr/bin/bwrap"
_TRY = """
import sys
from pathlib import Path
import anyio
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Mode, Policy, open_sandbox
from octavo.sandbox.run import run_caged

async def main():
    where = Path(sys.argv[1])
    async with open_sandbox(Policy(mode=Mode.WORKSPACE_WRITE, cwd=where)) as cage:
        try:
            report = await cage.ready()
        except SandboxError as error:
            print('refused:', error)
        else:
            print('tier:', report.tier, len(report.gaps))
            print('refused:', report.refused)
        for attempt in (1, 2):
            try:
                script = 'echo ran > ran; echo out > ../outside; cat ran'
                command = Command(argv=('/bin/sh', '-c', script), cwd=where, env={})
                ended, output = await run_caged(cage, command, timeout_s=20, limit_bytes=999)
                print(output.decode())
            except SandboxError as error:
                print('not run:', error)

anyio.run(main)
"""


def _on(kind: str, where: Path) -> str:
    restrict = [sys.executable, _RESTRICT, kind] if kind else []
    argv = [*restrict, sys.executable, "-c", _TRY, str(where)]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout


def test_where_only_bubblewrap_may_make_namespaces_it_makes_them(
    workspace: Callable[[], Path],
) -> None:
    if not Path(BWRAP).exists():
        pytest.skip(f"there is no {BWRAP}")
    where = workspace()

    told = _on("only-bwrap", where)

    assert f"tier: bubblewrap {2 + (os.geteuid() == 0)}" in told, told
    assert "refused: ('namespaces: unshare(mount namespace): Operation not permitted" in told
    assert told.count("\nran\n") == 2
    assert not (where.parent / "outside").exists()
    assert not (where / ".claude").exists()


@pytest.mark.parametrize("kind", ["container", "apparmor", "no-namespaces"])
def test_where_namespaces_are_refused_the_reduced_tier_holds_and_names_its_gaps(
    kind: str, workspace: Callable[[], Path]
) -> None:
    if not machine_has("landlock"):
        pytest.skip("this kernel has no Landlock to fall back to")
    where = workspace()

    told = _on(kind, where)

    if kind == "no-namespaces" and os.geteuid() == 0:
        assert "tier: namespaces 0" in told, told
    else:
        assert "tier: landlock 5" in told, told
    assert told.count("\nran\n") == 2
    assert (where / "ran").read_text() == "ran\n"
    assert not (where.parent / "outside").exists()
    assert not (where / ".claude").exists()


def test_where_nothing_works_nothing_is_run_and_the_reason_is_told(
    workspace: Callable[[], Path],
) -> None:
    where = workspace()
    before = sorted(os.listdir(where))

    told = _on("bare", where)

    assert "refused: Commands cannot be confined on this machine, so none is run." in told
    assert "unshare(user namespace): Operation not permitted [EPERM]" in told
    assert "Landlock version 3 is needed, found none" in told
    assert "bubblewrap: " in told
    assert "seccomp profile of the container" in told
    assert "--security-opt" in told
    assert "--sandbox external" in told
    assert "--sandbox danger-full-access" in told
    assert told.count("not run:") == 2
    assert sorted(os.listdir(where)) == before


def test_where_the_kernel_cannot_ask_about_connections_the_gap_is_named(
    workspace: Callable[[], Path],
) -> None:
    if "tier: namespaces 0" not in (told := _on("", workspace())):
        skip_or_fail(told, "namespaces")

    told = _on("no-questions", workspace())

    assert "tier: namespaces 1" in told
    assert told.count("\nran\n") == 2


@pytest.mark.parametrize(
    ("told", "out"),
    [
        (b"bubblewrap\t2\tthere is no /usr/bin/bwrap", "`apt install bubblewrap`"),
        (b"bubblewrap\t1\t/usr/bin/bwrap is not used", "Allow unprivileged user namespaces."),
    ],
)
def test_what_would_help_is_told(told: bytes, out: str) -> None:
    assert out in refusal.advice(refusal.steps(told))


def test_an_answer_that_makes_no_sense_is_a_refusal_too() -> None:
    for told in (
        b"",
        b"\xff\n\t\t",
        b"namespaces\t1\tmount(tmpfs on /dev): Operation not permitted",
    ):
        assert "so none is run" in str(refusal.explain(told))
