"""`octavo login` and `logout`: a key goes in, is found, and goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Shell

KEY = "sk-abcdefghijklmnopqrstuvwxyz"

KEYRING = """
import pathlib, json, os, sys
from . import errors
_FILE = pathlib.Path(os.environ["RING"])
def _read(): return json.loads(_FILE.read_text()) if _FILE.exists() else {}
class Backend:
    priority = float(os.environ.get("RING_PRIORITY", "5"))
def get_keyring(): return Backend()
def get_password(service, name): return _read().get(f"{service}/{name}")
def set_password(service, name, password):
    if os.environ.get("RING_LOCKED"): raise errors.KeyringError("locked")
    _FILE.write_text(json.dumps(_read() | {f"{service}/{name}": password}))
def delete_password(service, name):
    ring = _read()
    if ring.pop(f"{service}/{name}", None) is None: raise errors.PasswordDeleteError("none")
    _FILE.write_text(json.dumps(ring))
"""
ERRORS = """
class KeyringError(Exception): pass
class PasswordDeleteError(KeyringError): pass
"""


@pytest.fixture
def ring(shell: Shell, tmp_path: Path) -> Path:
    """A keyring package, as far as octavo uses one, that keeps its passwords in a file."""
    package = tmp_path / "packages/keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(KEYRING)
    (package / "errors.py").write_text(ERRORS)
    shell.env |= {"PYTHONPATH": str(package.parent), "RING": str(tmp_path / "ring.json")}
    return tmp_path / "ring.json"


def test_a_key_is_stored_privately_found_and_removed(shell: Shell) -> None:
    assert shell.octavo("login", "status").returncode == 1

    done = shell.octavo("login", stdin=f"{KEY}\n")

    file = shell.home / "auth.json"
    assert done.stdout == f"Stored the key of openai in {file}.\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert shell.home.stat().st_mode & 0o777 == 0o700
    status = shell.octavo("login", "status")
    assert (status.returncode, status.stdout) == (
        0,
        "The key of openai is in auth.json: sk-…wxyz\n",
    )
    assert shell.octavo("logout").stdout == "Removed the key of openai.\n"
    assert KEY not in file.read_text()
    assert shell.octavo("login", "status").returncode == 1
    assert shell.octavo("logout").stdout == "No key of openai is stored.\n"


def test_the_environment_comes_before_the_store(shell: Shell) -> None:
    shell.octavo("login", stdin=KEY)
    shell.env["CODEX_API_KEY"] = "sk-other-other-other-other"
    assert "environment variable CODEX_API_KEY" in shell.octavo("login", "status").stdout


@pytest.mark.parametrize("bad", ["", "  \n", "two words", "ünïcode", "a\tb", "x" * 9000])
def test_what_is_no_key_is_refused_and_the_former_one_stays(shell: Shell, bad: str) -> None:
    shell.octavo("login", stdin=KEY)
    done = shell.octavo("login", stdin=bad)
    assert done.returncode == 2
    assert bad.strip() not in done.stderr or not bad.strip()
    assert KEY in (shell.home / "auth.json").read_text()


def test_a_provider_must_exist_and_need_a_key(shell: Shell) -> None:
    done = shell.octavo("login", "--provider", "acme", stdin=KEY)
    assert done.returncode == 2
    assert "There is no provider 'acme'. There are: " in done.stderr
    assert "needs no key" in shell.octavo("login", "--provider", "ollama", stdin=KEY).stderr
    assert shell.octavo("login", "status", "--provider", "ollama").returncode == 0
    shell.settings('[model_providers.acme]\nbase_url = "http://a/v1"\nenv_key = "ACME_KEY"')
    assert shell.octavo("login", "--provider", "acme", stdin=KEY).returncode == 0
    assert shell.octavo("login", "status", "--provider", "acme").returncode == 0
    assert shell.octavo("login", "status").returncode == 1
    shell.octavo("login", stdin=KEY)
    assert shell.octavo("logout", "--all").stdout == (
        "Removed the key of acme.\nRemoved the key of openai.\n"
    )


def test_a_damaged_file_is_said_and_not_overwritten(shell: Shell) -> None:
    shell.home.mkdir()
    (shell.home / "auth.json").write_text("{")
    for words in (["login", "status"], ["login"], ["logout"]):
        done = shell.octavo(*words, stdin=KEY)
        assert done.returncode == 2
        assert "auth.json is damaged. Delete it and run `octavo login` again." in done.stderr
    assert (shell.home / "auth.json").read_text() == "{"


def test_a_keyring_is_used_where_there_is_one(shell: Shell, ring: Path) -> None:
    assert "the system's keyring" in shell.octavo("login", stdin=KEY).stdout
    assert KEY in ring.read_text()
    assert KEY not in (shell.home / "auth.json").read_text()
    assert "in the system's keyring" in shell.octavo("login", "status").stdout

    done = shell.octavo("login", "-c", "cli_auth_credentials_store=file", stdin=KEY)
    assert "auth.json" in done.stdout
    assert KEY not in ring.read_text()

    shell.octavo("login", stdin=KEY)
    assert KEY not in (shell.home / "auth.json").read_text()
    shell.octavo("logout")
    assert KEY not in ring.read_text()
    assert shell.octavo("login", "status").returncode == 1


def test_a_keyring_that_cannot_keep_anything_is_not_used(shell: Shell, ring: Path) -> None:
    for variable in ({"RING_PRIORITY": "0"}, {"RING_LOCKED": "1"}):
        shell.env |= variable
        assert "auth.json" in shell.octavo("login", stdin=KEY).stdout
        done = shell.octavo("login", "-c", "cli_auth_credentials_store=keyring", stdin=KEY)
        assert done.returncode == 2
        shell.env = {k: v for k, v in shell.env.items() if k not in variable}


def test_a_key_in_a_keyring_that_is_gone_is_said(shell: Shell, ring: Path) -> None:
    shell.octavo("login", stdin=KEY)
    shell.env["PYTHONPATH"] = ""
    done = shell.octavo("login", "status")
    assert done.returncode == 2
    assert "cannot be opened. Run `octavo login --provider openai`" in done.stderr


def test_at_a_terminal_the_key_is_asked_for_and_not_shown(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "octavo", "login"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=shell.env,
        cwd=shell.cwd,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while b"not shown" not in seen:
        seen += os.read(ours, 1024)
    os.write(ours, f"{KEY}\n".encode())
    try:
        while data := os.read(ours, 1024):
            seen += data
    except OSError:
        pass
    os.close(ours)
    assert process.wait(30) == 0
    assert b"Stored the key" in seen
    assert KEY.encode() not in seen
