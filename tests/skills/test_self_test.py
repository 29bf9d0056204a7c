"""self-test: the program is started as its user would, and what is wrong with it is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, run_script

SERVER = """\
import http.server, json, sys

ITEMS = []

class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body, **headers):
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/":
            self.reply(200, "Welcome to the mill", Set_Cookie="who=ada")
        elif self.path == "/who":
            self.reply(200, self.headers.get("Cookie", "nobody"))
        elif self.path == "/old":
            self.reply(302, "", Location="/")
        elif self.path == "/die":
            sys.stderr.write("the wheel broke\\n"); sys.stderr.flush()
            import os; os._exit(7)
        elif self.path.startswith("/items/"):
            ITEM = ITEMS[int(self.path[7:])]
            self.reply(200, json.dumps(ITEM))
        else:
            self.reply(404, "no such page")

    def do_POST(self):
        ITEMS.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.reply(201, '{"id": %d}' % (len(ITEMS) - 1))

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
MENDED = SERVER.replace(
    "            ITEM = ITEMS[int(self.path[7:])]\n            self.reply(200, json.dumps(ITEM))",
    "            number = int(self.path[7:])\n"
    "            if number >= len(ITEMS):\n"
    '                self.reply(404, "no such item")\n'
    "            else:\n"
    "                self.reply(200, json.dumps(ITEMS[number]))",
)


@pytest.fixture
def repository(workspace: Path) -> Path:
    commit(
        workspace, "Begin", {"server.py": SERVER, "README.md": "Run `python3 server.py PORT`.\n"}
    )
    return workspace


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def tried(where: Path, *words: str) -> tuple[int, str]:
    done = run_script("self-test", "try_service.py", *words, cwd=where)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.anyio
async def test_the_model_sees_the_fault_a_user_would_and_that_the_change_mends_it(
    repository: Path,
) -> None:
    steps = Steps("self-test")
    start = {"path": "/", "text": "Welcome", "command": "python3 server.py {port}"}
    trial = steps("try_service.py", **start).replace(
        " -- python3",
        ' --check \'POST /items {"name": "rye"} -> 201 "id":\' --check \'GET /items/0 -> 200 rye\''
        " --check 'GET /items/9 -> 404' -- python3",
    )
    mend = f"cat > server.py <<'EOF'\n{MENDED}EOF"
    script = follow(
        trial,
        mend,
        trial,
        "git status --short",
        ends=lambda outputs: f"Before: {outputs[0][:40]} After: {outputs[2][:40]}",
    )

    async with driving("self-test", script, repository) as drive:
        await drive.turn("$self-test that an item that is not there gives 404")

    before, _, after, status = drive.outputs()
    assert "FAILED GET /items/9" in before
    assert "3 of 4 checks held." in before
    assert "IndexError" in before
    assert "exited with code 1" in before
    assert "4 of 4 checks held." in after
    assert "exited with code 0" in after
    assert " M server.py" in status
    assert "A trial that passes on both shows nothing." in drive.skill_text()
    assert steps.not_run == []


def test_cookies_patterns_redirections_and_classes_of_status_are_checked(repository: Path) -> None:
    checks = (
        "GET / -> 2xx /mi.l$/",
        "GET /who -> 200 who=ada",
        "GET /old -> 302",
        "GET /x -> 4xx no",
    )
    words = [word for check in checks for word in ("--check", check)]

    status, said = tried(repository, *words, "--", "python3", "server.py", "{port}")

    assert status == 0, said
    assert "4 of 4 checks held." in said


def test_what_does_not_hold_is_quoted_and_the_rest_is_tried_too(repository: Path) -> None:
    words = (
        "--check",
        "GET / -> 200 Goodbye",
        "--check",
        "GET /who -> 500",
        "--check",
        "GET / -> 200",
    )

    status, said = tried(repository, *words, "--", "python3", "server.py", "{port}")

    assert status == 1
    assert "FAILED GET / -> 200" in said
    assert "'Goodbye' is not in it" in said
    assert "status 200, not 500" in said
    assert "ok     GET / -> 200" in said


def test_a_service_that_dies_is_told_with_its_last_words(repository: Path) -> None:
    died = tried(repository, "--check", "GET /die -> 200", "--", "python3", "server.py", "{port}")
    never = tried(repository, "--check", "GET / -> 200", "--", "sh", "-c", "echo broken; exit 4")
    deaf = tried(repository, "--check", "GET / -> 200", "--ready-s", "0.3", "--", "sleep", "60")
    missing = tried(repository, "--check", "GET / -> 200", "--", "no-such-program")

    assert died[0] == 1
    assert "it ended with exit code 7" in died[1]
    assert "the wheel broke" in died[1]
    assert never[0] == 3
    assert "ended with exit code 4 before it answered" in never[1]
    assert "broken" in never[1]
    assert deaf[0] == 3
    assert "did not answer on port" in deaf[1]
    assert missing[0] == 3
    assert "cannot be started" in missing[1]


def test_nothing_that_was_started_is_left(repository: Path) -> None:
    script = "sleep 60 & echo $! > child; trap '' TERM; exec python3 server.py $PORT"

    status, said = tried(
        repository, "--stop-s", "0.2", "--check", "GET / -> 200", "--", "sh", "-c", script
    )

    child = (repository / "child").read_text().strip()
    assert status == 0, said
    assert "and was killed" in said
    assert not is_running(child)


@pytest.mark.parametrize("check", ["GET /", "get / -> 200", "GET x -> 200", "GET / -> ok"])
def test_a_check_that_is_none_is_told_before_anything_is_started(
    repository: Path, check: str
) -> None:
    status, said = tried(repository, "--check", check, "--", "touch", "ran")

    assert status == 2
    assert "is not METHOD PATH" in said
    assert not (repository / "ran").exists()
