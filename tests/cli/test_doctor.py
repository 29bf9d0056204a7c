"""`octavo doctor` against real servers, homes and git."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.running import Shell


class Models(ThreadingHTTPServer):
    """A provider that knows one key and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Models

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        known = self.headers["authorization"] == "Bearer sk-good"
        self.send_response(200 if known else 401)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def models() -> Iterator[Models]:
    with Models() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def checks(shell: Shell, *words: str) -> dict[str, dict[str, str]]:
    done = shell.octavo("doctor", "--json", *words)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return {check["name"]: check for check in report["checks"]}


def test_a_provider_that_answers_is_ok_and_was_asked_one_free_thing(
    shell: Shell, models: Models
) -> None:
    shell.env["OPENAI_API_KEY"] = "sk-good"
    found = checks(shell, "-c", f"openai_base_url={models.url}")
    assert {found[name]["status"] for name in ("Python", "Git", "Home", "Key", "Provider")} == {
        "ok"
    }
    assert models.asked == ["/v1/models"]
    assert "sk-good" not in json.dumps(found)


def test_a_refused_key_a_missing_key_and_no_server_each_say_what_to_do(
    shell: Shell, models: Models
) -> None:
    here = ["-c", f"openai_base_url={models.url}"]
    found = checks(shell, *here)
    assert found["Key"]["status"] == "fail"
    assert found["Key"]["mend"] == "Run `octavo login --provider openai`."
    shell.env["OPENAI_API_KEY"] = "sk-bad"
    found = checks(shell, *here)
    assert found["Provider"]["status"] == "fail"
    assert "refuses the key (HTTP 401)" in found["Provider"]["said"]
    found = checks(shell, "-c", "openai_base_url=http://127.0.0.1:9/v1")
    assert found["Provider"]["status"] == "fail"
    assert "cannot be reached" in found["Provider"]["said"]
    found = checks(shell, "-c", "model_provider=nobody")
    assert "There is no provider 'nobody'" in found["Provider"]["said"]


def test_what_is_wrong_here_is_said_and_the_rest_still_checked(
    shell: Shell, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shell.env["PATH"] = str(empty)
    shell.settings("model = ")
    found = checks(shell)
    assert found["Git"]["status"] == "warn"
    assert found["Settings"]["status"] == "fail"
    assert "config.toml:1:9" in found["Settings"]["said"]
    assert found["Home"]["status"] == "ok"
    assert "Sandbox" in found


RESTRICT = [sys.executable, str(Path(__file__).parents[1] / "sandbox" / "restricted_host.py")]


def test_the_sandbox_in_use_and_why_there_is_no_better_one_are_told(shell: Shell) -> None:
    done = subprocess.run(
        [*RESTRICT, "container", sys.executable, "-m", "octavo", "doctor"],
        env=shell.env, cwd=shell.cwd, capture_output=True, text=True,
    )  # fmt: skip

    assert "warn  Sandbox    Commands are confined by landlock, with gaps." in done.stdout
    assert "→ Start the container with a profile that allows unshare and mount" in done.stdout
    assert "Gap: Protected names such as .git are not read-only" in done.stdout
    better = "A better one does not work: "
    assert f"{better}namespaces: unshare(user namespace): Operation not permitted" in done.stdout
    assert f"{better}bubblewrap: " in done.stdout
    assert "The likely cause is the seccomp profile of the container." in done.stdout


def test_where_nothing_works_the_ways_out_are_told(shell: Shell) -> None:
    done = subprocess.run(
        [*RESTRICT, "bare", sys.executable, "-m", "octavo", "doctor"],
        env=shell.env, cwd=shell.cwd, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 1
    assert "fail  Sandbox    Commands cannot be confined on this machine" in done.stdout
    assert "choose `--sandbox external`" in done.stdout


def test_a_machine_that_is_itself_the_sandbox_is_named(shell: Shell) -> None:
    shell.settings('sandbox_mode = "external"')
    done = shell.octavo("doctor")
    assert "warn  Sandbox    This machine itself is the sandbox" in done.stdout


def test_an_uncaged_setting_and_open_keys_are_warned_of(shell: Shell) -> None:
    shell.settings('sandbox_mode = "danger-full-access"')
    (shell.home / "auth.json").write_text("{}")
    (shell.home / "auth.json").chmod(0o644)
    done = shell.octavo("doctor")
    assert "warn  Sandbox    Commands are not confined" in done.stdout
    assert f"→ Run: chmod 600 {shell.home}/auth.json" in done.stdout


def test_servers_that_nothing_can_speak_with_are_named_with_what_to_install(shell: Shell) -> None:
    shell.settings('[mcp_servers.git]\ncommand = "git-server"\n')
    hide = (
        "import sys; import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mcp' else find(name, *a)\n"
        "from octavo.cli import main; sys.exit(main(['doctor', '--json']))"
    )
    argv = [sys.executable, "-c", hide]
    done = subprocess.run(argv, cwd=shell.cwd, env=shell.env, capture_output=True, text=True)
    [missing] = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "MCP"]

    assert missing["status"] == "warn"
    assert missing["mend"].endswith(" -m pip install 'octavo[mcp]'")
    assert checks(shell)["MCP"]["said"].startswith("servers git;")
