"""What rule files decide, asked on the command line."""

from __future__ import annotations

import json

from tests.cli.running import Shell

GIT = """
prefix_rule(pattern = ["git", ["push", "fetch"]], decision = "prompt")
prefix_rule(pattern = ["git", "push", "--force"], decision = "forbidden")
host_executable(name = "git", paths = ["/usr/bin/git"])
"""


def test_octavo_execpolicy_check_prints_what_the_rules_say(shell: Shell) -> None:
    (shell.cwd / "git.rules").write_text(GIT)
    (shell.cwd / "more.rules").write_text("prefix_rule(pattern=['ls'])")
    words = ["execpolicy", "check", "--rules", "git.rules", "-r", "more.rules"]

    done = shell.octavo(*words, "--", "git", "push", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["decision"] == "forbidden"
    assert done.stdout.count("\n") == 1

    done = shell.octavo(*words, "--pretty", "ls", "--all")
    assert json.loads(done.stdout)["matchedRules"][0]["prefixRuleMatch"]["matchedPrefix"] == ["ls"]
    assert done.stdout.startswith("{\n  ")

    done = shell.octavo(*words, "--resolve-host-executables", "--", "/usr/bin/git", "fetch")
    assert '"resolvedProgram":"/usr/bin/git"' in done.stdout

    (shell.cwd / "more.rules").write_text("\nprefix_rule(pattern=[1])")
    done = shell.octavo(*words, "--", "git", "push")
    assert (done.returncode, done.stdout) == (2, "")
    assert "more.rules:2: each place of pattern must be a list." in done.stderr

    done = shell.octavo(*words)
    assert (done.returncode, done.stdout) == (2, "")
