"""write-tests: what is not covered is found, tests are added, and they are seen to fail."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.skills.roots import BUNDLED
from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script

SEED = runpy.run_path(str(BUNDLED / "write-tests" / "scripts" / "seed_faults.py"))
CART = '''\
"""What a customer wants to buy."""


def total(prices, coupon=0, *, expired=False):
    """Return what is to be paid."""
    if not prices:
        return 0
    paid = sum(prices)
    if not expired:
        paid = paid - coupon
    return max(paid, 0)
'''
OLD = """\
import unittest

from shop.cart import total


class Total(unittest.TestCase):
    def test_prices_are_added(self):
        self.assertEqual(total([1, 2]), 3)


"""
NEW = """\
    def test_a_coupon_takes_off_what_it_says(self):
        self.assertEqual(total([5], 2), 3)

    def test_a_coupon_that_has_expired_takes_nothing_off(self):
        self.assertEqual(total([5], 2, expired=True), 5)

    def test_nobody_is_paid_for_buying(self):
        self.assertEqual(total([1], 4), 0)
        self.assertEqual(total([]), 0)
"""


PRIVATE_TMP = ('sandbox_workspace_write.tmp="private"',)


@pytest.fixture
def repository(workspace: Path) -> Path:
    files = {"shop/__init__.py": "", "shop/cart.py": CART, "test_cart.py": OLD}
    commit(workspace, "Begin", files)
    return workspace


@pytest.mark.anyio
async def test_the_model_covers_what_was_not_and_no_seeded_fault_goes_unnoticed(
    repository: Path,
) -> None:
    steps = Steps("write-tests")
    place = repository.parent
    test = "python3 -m unittest -q test_cart"
    measure = {"source": "shop", "python_words": "-m unittest -q test_cart"}
    before, after = "/tmp/before-skill.lcov", "/tmp/after-skill.lcov"
    seed = steps("seed_faults.py", file="shop/cart.py", test_command=test)
    add = f"cat >> test_cart.py <<'EOF'\n{NEW}EOF"
    script = follow(
        steps("trace_lines.py", before=before, **measure),
        steps("compare.py <before> --only", before=before, file="shop/cart.py"),
        seed,
        add,
        seed,
        steps("trace_lines.py", before=after, **measure),
        steps("compare.py <before> <after>", before=before, after=after),
    )

    async with driving("write-tests", script, repository, overrides=PRIVATE_TMP) as drive:
        await drive.turn("$write-tests for shop/cart.py")

    _, gaps, survived, _, noticed, _, gained = drive.outputs()
    assert "not run: 7" in gaps
    assert "not noticed  shop/cart.py:10  '-' → '+'" in survived
    assert "exited with code 1" in survived
    assert "not noticed" not in noticed
    assert "exited with code 0" in noticed
    assert "→ 100.0 %  shop/cart.py" in gained
    assert git(repository, "status", "--porcelain") == "M test_cart.py"
    assert not list(place.glob("*.lcov"))
    assert steps.not_run == []


# ---- seed_faults.py ------------------------------------------------------------------------


def seeded(where: Path, *words: str) -> tuple[int, str]:
    done = run_script("write-tests", "seed_faults.py", *words, cwd=where)
    return done.returncode, done.stdout + done.stderr


def faults(text: str, ending: str = ".py") -> list[str]:
    """What each fault makes of the code."""
    return [
        text[: one.start] + one.new + text[one.end :]
        for one in SEED["faults_of"](text, ending, (1, 10**6))
    ]


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("a == b", ["a != b"]),
        ("if a and not b:", ["if a or not b:", "if a and  b:"]),
        ("x in y", ["x not in y"]),
        ("x not in y", ["x  in y"]),
        ("x is not None", ["x is  None"]),
        ("return n + 1", ["return n - 1", "return n + 2"]),
        ("n = -1", ["n = -2"]),
        ("for a in b: continue", ["for a in b: break"]),
        ("[a for a in b]", []),
        ("def f(a) -> int: ...", []),
        ("f(*a, **b)", []),
        ("'a == b' # a == b", []),
        ('"""a == b\n1 + 2"""', []),
        ("from a import b1", []),
        ("min(a, b)", ["max(a, b)"]),
        ("x = min", []),
    ],
)
def test_faults_are_made_in_code_and_nowhere_else(code: str, wrong: list[str]) -> None:
    assert faults(code) == wrong


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("if (a && b) {} // x == y", ["if (a || b) {} // x == y"]),
        ("a === b", ["a !== b"]),
        ("x => x /* 1 + 1 */", []),
        ("i++", []),
        ("for (const a in b) {}", []),
        ("'it\\'s 1'", []),
        ("`a ${b}` == c", ["`a ${b}` != c"]),
    ],
)
def test_faults_of_languages_with_slashes(code: str, wrong: list[str]) -> None:
    assert faults(code, ".ts") == wrong


@given(st.text(alphabet="ab1 +-*/=<>!&|'\"#\n()`\\", max_size=60), st.sampled_from([".py", ".js"]))
def test_blanking_strings_keeps_every_line_and_place(text: str, ending: str) -> None:
    plain = SEED["without_strings"](text, ending)

    assert len(plain) == len(text)
    assert [i for i, c in enumerate(plain) if c == "\n"] == [
        i for i, c in enumerate(text) if c == "\n"
    ]


def test_tests_that_do_not_use_the_file_are_found_out(repository: Path) -> None:
    status, said = seeded(repository, "shop/cart.py", "--", "true")

    assert status == 2
    assert "they do not use it" in said


def test_tests_that_fail_without_a_fault_prove_nothing(repository: Path) -> None:
    status, said = seeded(repository, "shop/cart.py", "--", "false")

    assert status == 2
    assert "fail in the copy without any fault" in said


def test_seeding_touches_no_file_and_keeps_to_the_lines(repository: Path) -> None:
    before = (repository / "shop/cart.py").read_bytes()

    status, said = seeded(
        repository, "shop/cart.py", "--lines", "6-7", "--", "python3", "-m", "unittest", "-q"
    )

    assert status == 1
    assert "shop/cart.py:7  '0' → '1'" in said
    assert "1 of 2 faults" in said
    assert (repository / "shop/cart.py").read_bytes() == before
    assert git(repository, "status", "--porcelain") == ""


# ---- compare.py, trace_lines.py ------------------------------------------------------------

LCOV = "TN:\nSF:src/a.py\nDA:1,1\nDA:2,0\nDA:3,0\nend_of_record\n"
JSON = json.dumps({"files": {"src/a.py": {"executed_lines": [1, 2], "missing_lines": [3]}}})
XML = (
    '<coverage><packages><package><classes><class filename="src/a.py"><lines>'
    '<line number="1" hits="1"/><line number="2" hits="4"/><line number="3" hits="0"/>'
    "</lines></class></classes></package></packages></coverage>"
)
GO = "mode: set\nsrc/a.py:1.1,2.2 1 1\nsrc/a.py:3.1,3.9 1 0\n"


@pytest.mark.parametrize("after", [JSON, XML, GO])
def test_reports_of_other_tools_are_compared(tmp_path: Path, after: str) -> None:
    (tmp_path / "before").write_text(LCOV)
    (tmp_path / "after").write_text(after)

    better = run_script("write-tests", "compare.py", "before", "after", cwd=tmp_path)
    worse = run_script("write-tests", "compare.py", "after", "before", cwd=tmp_path)

    assert better.returncode == 0
    assert "33.3 % →  66.7 %  src/a.py\n           now run: 2\n" in better.stdout
    assert "not run: 3\n" in better.stdout
    assert worse.returncode == 1


@pytest.mark.parametrize("report", ["", "hello", "{", '{"files": 3}', "<a", "SF:a\nDA:x,y\n"])
def test_what_is_no_report_is_told(tmp_path: Path, report: str) -> None:
    (tmp_path / "report").write_text(report)

    done = run_script("write-tests", "compare.py", "report", cwd=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_tracing_counts_threads_and_gives_the_programs_exit_code(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""Doc."""\nimport threading\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n\n\n'
        "t = threading.Thread(target=f)\nt.start()\nt.join()\nraise SystemExit(3)\n"
    )

    done = run_script(
        "write-tests", "trace_lines.py", "--source", ".", "-o", "r.lcov", "--", "a.py", cwd=tmp_path
    )

    assert done.returncode == 3
    lines = (tmp_path / "r.lcov").read_text().splitlines()
    assert "DA:6,1" in lines
    assert "DA:10,0" in lines
    assert "DA:1,1" not in lines
