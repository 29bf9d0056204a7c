"""security-audit: planted faults are found, in files and history, and no key is ever shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.skills.roots import BUNDLED
from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script

FOLDER = BUNDLED / "security-audit"
SECRETS = runpy.run_path(str(FOLDER / "scripts" / "find_secrets.py"))
RISKY = runpy.run_path(str(FOLDER / "scripts" / "find_risky_calls.py"))
IN_FILES = "q8Zr2mWx71TbLp0V"
IN_HISTORY = "Zt5vQ9nB3kXs8LwY"
AWS = "AKIA" + "Q3EGRZ7LM2TWXN5B"
APP = """\
import pickle, subprocess, sqlite3
from flask import request

def search(db):
    return db.execute(f"SELECT * FROM mills WHERE name = '{request.args['q']}'")

def load():
    return pickle.loads(request.data)

def ping(host):
    # subprocess.run(host, shell=True) in a comment is no call
    subprocess.run("ping " + host, shell=True)
"""


@pytest.fixture
def repository(workspace: Path) -> Path:
    commit(workspace, "Begin", {"config.py": f"db_password = '{IN_HISTORY}'\n"})
    commit(workspace, "Clean up", {"config.py": "import os\ndb_password = os.environ['PW']\n"})
    files = {
        "app.py": APP,
        "deploy/prod.yml": f"aws:\n  id: {AWS}\n  api_key: {IN_FILES}\n",
        ".github/workflows/ci.yml": "on: pull_request_target\nrun: ${{ github.head_ref }}\n",
        "tests/test_app.py": "subprocess.run('x', shell=True)\n",
        ".gitignore": ".env\n",
    }
    commit(workspace, "Grind", files)
    (workspace / ".env").write_text(f"API_KEY={IN_FILES}\n")
    return workspace


def found_by(script: str, where: Path, *words: str) -> tuple[int, str]:
    done = run_script("security-audit", script, *words, cwd=where)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.anyio
async def test_the_model_finds_what_was_planted_proves_it_and_shows_no_key(
    repository: Path,
) -> None:
    steps = Steps("security-audit")
    proof = (
        "python3 -c \"import sqlite3; d = sqlite3.connect(':memory:'); d.execute('CREATE TABLE "
        "mills (name)'); q = '\\' OR 1=1 --'; "
        'print(d.execute(f\\"SELECT 1 FROM mills WHERE name = \'{q}\'\\").fetchall())"'
    )
    script = follow(
        steps("find_secrets.py"),
        steps("find_risky_calls.py"),
        steps("checklist.md"),
        proof,
        ends=lambda outputs: f"1 high: app.py:5, by `q`. Keys:\n{outputs[0]}",
    )

    async with driving("security-audit", script, repository) as drive:
        await drive.turn("$security-audit")

    keys, places, checklist, proven = drive.outputs()
    assert "deploy/prod.yml:2  AWS key (20 characters)" in keys
    assert "deploy/prod.yml:3  value named like a secret (16 characters)" in keys
    only_past = keys.partition("# Only in the history")[2].partition("\n# ")[0]
    assert "config.py:1  value named like a secret" in only_past
    assert keys.partition("Ignored by git, named like")[2].splitlines()[1] == ".env"
    for line in ("app.py:5", "app.py:8", "app.py:12", ".github/workflows/ci.yml:1"):
        assert f"  {line}\n" in places
    assert "app.py:11" not in places
    assert "tests/" not in places
    assert "Access control" in checklist
    assert "exited with code 0" in proven
    said = drive.play.model.requests[-1].body.decode()
    assert not any(value in said for value in (IN_FILES, IN_HISTORY, AWS))
    assert git(repository, "status", "--porcelain") == ""
    assert steps.not_run == []


def test_the_oldest_commit_of_a_value_is_named_and_a_value_that_stays_is_told_apart(
    repository: Path,
) -> None:
    first = git(repository, "rev-list", "--max-parents=0", "--abbrev-commit", "HEAD")
    commit(repository, "Move", {"moved/prod.yml": f"k: 1\napi_key: {IN_FILES}\n"})

    said = found_by("find_secrets.py", repository)[1]

    past, now = said.partition("# Only in the history")[2].split("# In the files and committed")
    assert past.count("value named like a secret") == 1
    assert f"{first} " in past
    assert now.count("value named like a secret") == 1


def test_secrets_of_other_branches_and_of_deleted_files_are_in_the_history(
    workspace: Path,
) -> None:
    commit(workspace, "Begin", {"a": "1"})
    git(workspace, "switch", "-q", "-c", "side")
    commit(workspace, "Oops", {"key.pem": "-----BEGIN RSA PRIVATE KEY-----\nabc\n"})
    git(workspace, "rm", "-q", "key.pem")
    git(workspace, "commit", "-qm", "Gone")
    git(workspace, "switch", "-q", "-")

    status, said = found_by("find_secrets.py", workspace)

    assert status == 1
    assert "key.pem:1  private key" in said.partition("# Only in the history")[2]
    assert found_by("find_secrets.py", workspace, "--no-history")[0] == 0


@pytest.mark.parametrize(
    "line",
    [
        "password = os.environ['PASSWORD']",
        "api_key: ${API_KEY}",
        "token = 'your-token-goes-here-1'",
        "secret = settings.secret_key",
        "SECRET_KEY = 'changeme-please-1'",
        "url = 'postgres://user:password@localhost/x'",
        "token = get_token(1234567890)",
        "PASSWORD_MIN_LENGTH = 12345678",
        "passwordField: 'input-password-field'",
        'apiKey = "xxxxxxxxxxxxxxxxxxxx"',
    ],
)
def test_examples_and_names_are_no_secrets(line: str) -> None:
    assert list(SECRETS["findings_of"]("a.py", 1, line)) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("x = 'ghp_" + "a1B2" * 9 + "'", "GitHub token"),
        ("x = 'glpat-" + "a1B2c3" * 4 + "'", "GitLab token"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("u = redis://:k9Jd82mxPq@cache:6379", ""),
        ("u = amqp://mill:k9Jd82mxPq@cache:5672", "password in an address"),
        ("DB_PASSWORD=k9Jd82mxPq!w", "value named like a secret"),
        ('"client_secret": "k9Jd82mxPqLw01"', "value named like a secret"),
        ("headers = {'Authorization': 'Bearer k9Jd82mxPqLw01zT'}", "authorization header"),
        ("x = 'sk_live_" + "a1B2" * 6 + "'", "Stripe key"),
    ],
)
def test_kinds_of_secrets_are_known(line: str, kind: str) -> None:
    kinds = [one.kind for one in SECRETS["findings_of"]("a.py", 1, line)]

    assert kinds == ([kind] if kind else [])


@given(st.from_regex(r"[A-Za-z0-9!+_]{8,40}", fullmatch=True), st.sampled_from(["=", ": ", " := "]))
def test_no_finding_holds_the_value(value: str, sign: str) -> None:
    for finding in SECRETS["findings_of"]("a.py", 1, f"db_password{sign}'{value}'"):
        assert value not in SECRETS["line_of"](finding)
        assert finding.length == len(value)


def test_every_pattern_of_risky_calls_can_be_read_and_has_a_question() -> None:
    risks = RISKY["read_risks"]()

    for risk in risks:
        re.compile(risk.pattern)
        assert risk.question.endswith("?")
        assert risk.weight in ("high", "medium", "low")
    assert len(risks) > 40


@pytest.mark.parametrize(
    ("name", "line", "id_"),
    [
        ("a.py", "os.system(cmd)", "shell"),
        ("a.py", "yaml.load(f)", "deserialize"),
        ("a.py", "requests.get(u, verify=False)", "tls"),
        ("a.js", "el.innerHTML = x", "html"),
        ("a.ts", "db.query(`SELECT ${id}`)", "sql"),
        ("a.go", 'exec.Command("sh", "-c", x)', "shell"),
        ("a.go", "InsecureSkipVerify: true", "tls"),
        ("A.java", "new ObjectInputStream(in)", "deserialize"),
        ("a.php", "unserialize($_GET['x'])", "deserialize"),
        ("a.rb", 'system("ls #{x}")', "shell"),
        ("a.c", "strcpy(a, b);", "memory"),
        ("a.c", "printf(user);", "format"),
        ("a.rs", "unsafe { *p }", "unsafe"),
        ("a.sh", "curl https://x | sudo bash", "shell"),
        ("Dockerfile", "FROM debian:latest", "image"),
        ("w.yml", "  - uses: foo/bar@v1", "ci-pin"),
        ("m.tf", 'cidr_blocks = ["0.0.0.0/0"]', "open-net"),
        ("a.py", "token = random.choice(x)", "random"),
    ],
)
def test_risky_calls_of_many_languages_are_known(
    tmp_path: Path, name: str, line: str, id_: str
) -> None:
    (tmp_path / name).write_text(f"\n{line}\n")

    assert f"{name}:2\n" in found_by("find_risky_calls.py", tmp_path, "--only", id_)[1]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.py", "yaml.load(f, Loader=yaml.SafeLoader)"),
        ("a.py", "re.compile('x')"),
        ("a.py", "cursor.execute('SELECT 1 WHERE a = ?', (x,))"),
        ("a.py", "subprocess.run(['ls', x])"),
        ("a.js", "el.textContent = x"),
        ("a.c", 'snprintf(a, sizeof a, "%s", b);'),
        ("w.yml", "  - uses: actions/checkout@v4"),
    ],
)
def test_what_is_done_right_is_no_place_to_look(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(f"{line}\n")

    assert found_by("find_risky_calls.py", tmp_path)[1].startswith("0 places")


def test_odd_names_and_wrong_words_are_told(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.py").write_text("eval(x)\n")

    assert "\x1b" not in found_by("find_risky_calls.py", tmp_path)[1]
    assert (
        "no such id: nothing" in found_by("find_risky_calls.py", tmp_path, "--only", "nothing")[1]
    )
    assert found_by("find_secrets.py", tmp_path, "nowhere")[0] == 2
    assert found_by("find_secrets.py", tmp_path)[0] == 0
