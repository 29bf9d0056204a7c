"""What was accepted for longer than once, shown and taken back on the command line."""

from __future__ import annotations

import json

from octavo.config.approvals import Approval, read_approvals, remember
from tests.cli.running import Shell


def test_approvals_are_listed_and_revoked(shell: Shell) -> None:
    nothing = shell.octavo("approvals", "list")
    assert (nothing.returncode, nothing.stdout) == (0, "Nothing is remembered.\n")

    for one in (
        Approval("aa", "exact", 0, "/srv/mill", "rm -rf /opt/\u202ex", key="k", cwd="/srv/mill"),
        Approval("bb", "prefix", 0, "/srv/mill", "git reset --hard", words=("git", "reset", "a b")),
        Approval("cc", "host", 0, None, "curl example.com", host="example.com"),
    ):
        remember(shell.home, one)
    listed = shell.octavo("approvals", "list")
    assert listed.stdout.splitlines() == [
        "aa  run exactly `rm -rf /opt/⟨U+202E⟩x`  (in /srv/mill)",
        "bb  run what begins with `git reset 'a b'`  (in /srv/mill)",
        "cc  reach example.com  (everywhere)",
    ]
    as_json = json.loads(shell.octavo("approvals", "list", "--json").stdout)
    assert [(one["id"], one["scope"]) for one in as_json] == [
        ("aa", "project"),
        ("bb", "project"),
        ("cc", "always"),
    ]

    wrong = shell.octavo("approvals", "revoke", "aa", "zz")
    assert (wrong.returncode, len(read_approvals(shell.home))) == (2, 3)
    assert "There is no approval 'zz'." in wrong.stderr

    done = shell.octavo("approvals", "revoke", "aa", "cc")
    assert (done.returncode, done.stdout) == (0, "Revoked: 2\n")
    assert [one.id for one in read_approvals(shell.home)] == ["bb"]


def test_a_damaged_file_is_told_and_can_be_begun_anew(shell: Shell) -> None:
    shell.home.mkdir()
    file = shell.home / "approvals.json"
    file.write_text("{")
    for words in (["list"], ["revoke", "aa"]):
        done = shell.octavo("approvals", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{file} is damaged, so nothing in it counts" in done.stderr
    assert file.read_text() == "{"

    assert shell.octavo("approvals", "revoke", "--all").returncode == 0
    assert shell.octavo("approvals", "list").stdout == "Nothing is remembered.\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_to_revoke_has_to_be_said(shell: Shell) -> None:
    for words in ([], ["aa", "--all"]):
        done = shell.octavo("approvals", "revoke", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Name what to forget" in done.stderr
