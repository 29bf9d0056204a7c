"""fix-ci: the first real failure is found in megabytes of log, reproduced, and mended."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import resource
import runpy
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.skills.roots import BUNDLED
from tests.scenarios.asking import Person
from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script

CART = "def total(prices):\n    return sum(prices) + 1\n"
TEST = (
    "import unittest\nfrom cart import total\n\n\nclass Cart(unittest.TestCase):\n"
    "    def test_total(self):\n        self.assertEqual(total([2, 3]), 5)\n"
)
NOISE = (
    "tests/test_{n}.py::test_error_{n} PASSED",
    "Ran 12 tests: 0 errors, 0 failures",
    "Retrying after error: connection reset by peer",
    "npm warn deprecated left-pad@1.0.{n}: error-prone",
    "warning: unused variable `error{n}`",
    "2026-01-02 INFO handled ValueError: ignored {n}",
    "Downloading exceptiongroup-1.{n}.whl",
)
SCRIPT = runpy.run_path(str(BUNDLED / "fix-ci" / "scripts" / "first_failure.py"))
SECRET = "q8Zr2mWx71TbLp0V"


def log(lines: Iterator[str] | list[str], job: str = "test (3.12)", step: str = "Run tests") -> str:
    """Lines as `gh run view --log-failed` gives them."""
    return "".join(f"{job}\t{step}\t2026-01-02T10:00:00.1234567Z {line}\n" for line in lines)


def noise(count: int) -> list[str]:
    dice = random.Random(1)
    return [dice.choice(NOISE).format(n=n) for n in range(count)]


def big_log() -> str:
    failure = [
        "F", "=" * 70, "FAIL: test_total (test_cart.Cart.test_total)", "-" * 70,
        "Traceback (most recent call last):", '  File "test_cart.py", line 7, in test_total',
        "AssertionError: 6 != 5", f"export API_TOKEN={SECRET}", "",
        "make: *** [Makefile:3: test] Error 1", "##[error]Process completed with exit code 2.",
    ]  # fmt: skip
    cleaning = [f"Removing container {n}" for n in range(30_000)]
    return log([*noise(35_000), *failure]) + log(cleaning, step="Post job cleanup")


def first(text: str | bytes, *words: str) -> tuple[int, str]:
    data = text if isinstance(text, bytes) else text.encode()
    done = run_script("fix-ci", "first_failure.py", *words, "-", cwd=Path("/"), stdin=data)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.anyio
async def test_the_model_finds_the_failure_in_5_mb_reproduces_it_and_mends_the_cause(
    workspace: Path,
) -> None:
    commit(workspace, "Begin", {"cart.py": CART, "test_cart.py": TEST})
    path = workspace.parent / "ci.log"
    path.write_text(big_log())
    assert path.stat().st_size > 5_000_000
    steps = Steps("fix-ci")
    test = "python3 -m unittest test_cart.Cart.test_total"
    script = follow(
        steps("first_failure.py", log=str(path)),
        test,
        "sed -i 's/sum(prices) + 1/sum(prices)/' cart.py",
        test,
        ends="cart.py:2 added 1; the test failed before and passes now.",
    )

    async with driving("fix-ci", script, workspace) as drive:
        await drive.turn(f"$fix-ci the log is {path}")

    found, before, _, after = drive.outputs()
    assert "Line 35003 in test (3.12) / Run tests: test (strong)" in found
    assert "> FAIL: test_total (test_cart.Cart.test_total)" in found
    assert "test_error_" not in found.partition("Tests that failed")[2]
    assert SECRET not in found
    assert "API_TOKEN=[16 characters masked]" in found
    assert "AssertionError: 6 != 5" in before
    assert "exited with code 1" in before
    assert "exited with code 0" in after
    assert git(workspace, "diff", "--stat").splitlines()[0].strip().startswith("cart.py")
    assert "`continue-on-error`" in drive.skill_text()
    assert steps("gh run list", branch="b")
    assert steps("gh run view", run_id="1")
    assert steps.not_run == []


@pytest.mark.anyio
async def test_the_whole_of_a_log_that_gh_prints_is_in_the_file_that_the_output_names(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = workspace.parent / "tools"
    tools.mkdir()
    (tools / "log").write_text(log([*noise(20_000), "FAILED tests/t.py::test_a", *noise(20_000)]))
    (tools / "gh").write_text(
        f'#!/bin/sh\n[ "$*" = "run view 7 --log-failed" ] && cat {tools}/log\n'
    )
    (tools / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    steps = Steps("fix-ci")

    def kept(outputs: list[str]) -> str:
        [path] = re.findall(r"the whole output is in (\S+)", outputs[0])
        return steps("first_failure.py", log=path)

    # Not gh itself, so it is run as any program is that a person allowed out of the sandbox.
    leave = {"sandbox_permissions": "require_escalated", "justification": "Read the log?"}
    script = follow({"cmd": steps("gh run view", run_id="7"), **leave}, kept)

    async with driving("fix-ci", script, workspace, alone=False, answer=Person("accept")) as drive:
        await drive.turn("$fix-ci")

    assert "> FAILED tests/t.py::test_a" in drive.outputs()[1], drive.outputs()[0][:2000]


def test_memory_stays_small_whatever_the_log_holds(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    with path.open("w") as out:
        for _ in range(100):
            out.write("x" * 1_000_000)
        out.write("\n")
        out.writelines(f"FAILED tests/t.py::test_{n}\n" for n in range(20_000))
    program = str(BUNDLED / "fix-ci" / "scripts" / "first_failure.py")
    limit = 120 << 20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, program, str(path)], capture_output=True, text=True, preexec_fn=limited
    )

    assert done.returncode == 0, done.stderr
    assert "Tests that failed (20000)" in done.stdout
    assert "and 19950 more" in done.stdout


@pytest.mark.parametrize(
    ("lines", "kind", "shows"),
    [
        (["src/a.c:3:5: error: expected ';'", "make: *** [a] Error 1"], "compiler", "expected"),
        (["error[E0382]: borrow", "error: could not compile `x`"], "compiler", "E0382"),
        (["src/a.ts(3,5): error TS2322: Type", "exit code 2"], "compiler", "TS2322"),
        (["./a.go:3:5: undefined: x", "FAIL\tmill [build failed]"], "compiler", "undefined: x"),
        (["src/a.py:3: error: Incompatible types"], "checker", "Incompatible"),
        (["--- FAIL: TestTotal (0.00s)", "    a_test.go:9: got 6", "FAIL"], "test", "TestTotal"),
        (["  ● Cart › total", "    expect(received)"], "test", "Cart › total"),
        (["ok 1 - a", "not ok 2 - total", "# fail 1"], "test", "not ok 2"),
        (["thread 'main' panicked at src/a.rs:3:5:", "error: test failed"], "test", "panicked"),
        (["Traceback (most recent call last):", "KeyError: 'x'"], "exception", "Traceback"),
        (["Segmentation fault (core dumped)"], "crash", "Segmentation"),
        (["npm ERR! code ERESOLVE", "npm ERR! log"], "dependency", "ERESOLVE"),
        (["ERROR: No matching distribution found for x==9"], "dependency", "No matching"),
        (["/bin/sh: 1: poetry: not found", "exited with code 127"], "not found", "poetry"),
        (["fatal error: no space", "write: No space left on device"], "exception", "no space"),
        (["write: No space left on device", "exit code 1"], "disk", "No space"),
        (["FATAL ERROR: JavaScript heap out of memory"], "memory", "heap"),
        (["curl: (6) Could not resolve host: example.org"], "network", "resolve"),
        (["The runner has received a shutdown signal."], "runner", "shutdown"),
        (["##[error]Process completed with exit code 3."], "end", "exit code 3"),
    ],
)  # fmt: skip
def test_failures_of_many_tools_are_told_apart(lines: list[str], kind: str, shows: str) -> None:
    status, said = first(log([*noise(50), *lines, *noise(5)]), "--json")

    failure = json.loads(said)["failures"][0]
    assert status == 0
    assert failure["kind"] == kind
    assert shows in failure["text"]


def test_a_failed_test_counts_more_than_an_exception_that_was_printed_before() -> None:
    lines = ["Traceback (most recent call last):", "ValueError: shown by a test that passes",
             "FAILED tests/test_a.py::test_total - assert 6 == 5"]  # fmt: skip

    assert "> FAILED tests/test_a.py::test_total" in first(log(lines))[1]


def test_other_steps_that_failed_are_named_and_shown_if_wanted() -> None:
    text = log(["src/a.c:3:5: error: expected ';'"], job="build") + log(
        ["/bin/sh: 1: make: not found"], job="docs"
    )

    short, long = first(text)[1], first(text, "--all")[1]

    assert "Other steps that failed" in short
    assert "docs / Run tests" in short
    assert "not found (machine)" in long


def test_a_log_of_gitlab_and_a_compressed_one_are_read(tmp_path: Path) -> None:
    lines = ["section_start:1:step_script\r\x1b[0K", "\x1b[31mFAILED tests/t.py::test_a\x1b[0m"]
    path = tmp_path / "job.log.gz"
    path.write_bytes(gzip.compress("\n".join([*noise(20), *lines]).encode()))

    done = run_script("fix-ci", "first_failure.py", str(path), cwd=tmp_path)

    assert done.returncode == 0
    assert "> FAILED tests/t.py::test_a\n" in done.stdout


def test_a_log_without_a_failure_or_no_log_is_said(tmp_path: Path) -> None:
    assert first(log(noise(500)))[0] == 1
    assert run_script("fix-ci", "first_failure.py", "nowhere", cwd=tmp_path).returncode == 2


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_break_it_and_nothing_it_prints_can_draw(lines: list[bytes]) -> None:
    read = list(SCRIPT["lines_of"](io.BytesIO(b"\n".join(lines))))

    found = SCRIPT["scan"](read)

    assert found.lines == len(read)
    shown = [SCRIPT["plain"](line) for line in read]
    assert not any(char != "\t" and unicodedata.category(char) == "Cc" for char in "".join(shown))
