"""`octavo attack` as a person runs it: what it prints, its exit codes, and whose settings count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from octavo.trial.attack import catalog
from octavo.trial.attack.suite import CASES

PROFILE = 'default_permissions = "bad"\n[permissions.bad]\nextends = ":workspace"\n'
RESTRICTED_HOST = Path(__file__).parents[2] / "sandbox" / "restricted_host.py"


class Person:
    """A home with settings."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = home / ".octavo"
        self.settings.mkdir()
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def attack(self, *words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *before, "-m", "octavo", "attack", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=self.env,
            timeout=100,
        )

    def found(self, only: str, config: str) -> dict[str, Any]:
        """Attack under `config`; return the run, which has to have failed."""
        (self.settings / "config.toml").write_text(config)
        done = self.attack("--json", "--only", only)
        assert done.returncode == 1, (done.stdout, done.stderr)
        run: dict[str, Any] = json.loads(done.stdout)
        return run


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def count(*attacks: str) -> int:
    return sum(case.attack in attacks for case in CASES)


def escaped(run: dict[str, Any]) -> set[str]:
    return {case["id"] for case in run["cases"] if case["outcome"] == "escaped"}


def test_a_good_configuration_is_told_in_a_table_and_with_0(person: Person) -> None:
    done = person.attack("--only", "A-14,a-40,7", "--prove")

    assert (done.returncode, done.stderr) == (0, "")
    assert "A-14  blocked   writes through links that lead out" in done.stdout
    assert (
        "outside of the workspace nothing can be written; shown to fail without it" in done.stdout
    )
    number = count("A-14", "A-40", "A-07")
    assert f"{number} cases of 3 attacks in" in done.stdout
    assert f"{number} blocked, 0 escaped." in done.stdout
    assert f"the harm is seen in {number} of {number} cases" in done.stdout
    assert sorted(path.name for path in person.settings.iterdir()) == []


def test_json_is_one_object_with_every_case(person: Person) -> None:
    done = person.attack("--json", "--only", "A-12")

    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert set(run) == {"sandbox", "summary", "tookS", "cases", "waiting"}
    assert run["summary"]["blocked"] == run["summary"]["cases"] == len(run["cases"]) == 3
    assert run["cases"][0] | {"tookS": 0} == {
        "id": "A-12",
        "group": "paths",
        "title": "The model's working directory becomes the workspace",
        "way": "names a working directory of its own and writes there",
        "outcome": "blocked",
        "wall": "outside of the workspace nothing can be written",
        "detail": "",
        "withoutWall": None,
        "tookS": 0,
    }
    [known] = [one for one in run["waiting"] if one["id"] == "A-59"]
    assert known["joinsWith"] == "MCP servers"


@pytest.mark.parametrize(
    ("config", "only", "found"),
    [
        ('sandbox_mode = "danger-full-access"', "A-14,A-40,A-20", {"A-14", "A-40", "A-20"}),
        ("[sandbox_workspace_write]\nnetwork_access = true", "A-14,A-40,A-79", {"A-40", "A-79"}),
        ('[sandbox_workspace_write]\nwritable_roots = ["~"]', "A-12,A-22,A-40", {"A-12", "A-22"}),
        ('[sandbox_workspace_write]\nwritable_roots = ["HOME"]', "A-22,A-44", {"A-22"}),
        (f"{PROFILE}[permissions.bad.filesystem]\n'~' = 'write'", "A-16,A-22", {"A-16", "A-22"}),
        (f"{PROFILE}[permissions.bad.network]\nenabled = true", "A-40,A-22", {"A-40"}),
        ('approvals_reviewer = "auto_review"', "A-81,A-14", {"A-81"}),
        ("[shell_environment_policy]\nignore_default_excludes = true", "A-44,A-14", {"A-44"}),
        ("[sandbox_limits]\npids = 4000000", "A-82", {"A-82"}),
        ("tool_output_token_limit = 100000000", "A-83", {"A-83"}),
    ],
)
def test_what_is_wrong_in_the_settings_is_found(
    config: str, only: str, found: set[str], person: Person
) -> None:
    run = person.found(only, config.replace("HOME", str(person.home)))

    assert escaped(run) == found


def test_a_setting_on_the_command_line_counts(person: Person) -> None:
    done = person.attack("--only", "A-14", "-c", 'sandbox_mode="danger-full-access"')

    assert done.returncode == 1
    assert "A-14  ESCAPED" in done.stdout
    assert "what should have stopped it: outside of the workspace" in done.stdout
    assert "`octavo config show`" in done.stdout


def test_in_a_container_gaps_of_the_sandbox_are_told_from_escapes(person: Person) -> None:
    in_container = (str(RESTRICTED_HOST), "container", sys.executable)
    done = person.attack("--only", "A-07,A-31,A-82", before=in_container)

    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "Sandbox: workspace-write, landlock." in done.stdout
    expected = f"{count('A-07', 'A-31', 'A-82') - 1} blocked, 0 escaped, 1 by a gap of the"
    assert expected in done.stdout
    assert "How many processes a command may start is not limited." in done.stdout


def test_where_nothing_can_be_confined_it_says_so_and_tries_nothing(person: Person) -> None:
    done = person.attack("--only", "A-14", before=(str(RESTRICTED_HOST), "bare", sys.executable))

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("octavo: error: Commands cannot be confined on this machine")


def test_rules_that_cannot_be_read_let_nothing_through(person: Person) -> None:
    (person.settings / "rules").mkdir()
    (person.settings / "rules" / "mine.rules").write_text("prefix_rule(")

    done = person.attack("--only", "A-24")

    assert done.returncode == 0, done.stdout
    assert "A-24  blocked" in done.stdout


def test_settings_that_make_no_sense_are_told_and_nothing_is_tried(person: Person) -> None:
    (person.settings / "config.toml").write_text("sandbox_mode = 7")

    done = person.attack()

    assert done.returncode == 2
    assert done.stdout == ""
    assert "sandbox_mode" in done.stderr


def test_keys_and_threads_of_the_person_are_not_copied(person: Person) -> None:
    (person.settings / "auth.json").write_text('{"keys": {"openai": "damaged')
    (person.settings / "sessions").mkdir()

    done = person.attack("--only", "A-14")

    assert done.returncode == 0, done.stderr
    assert os.listdir(person.settings / "sessions") == []


def test_lists_have_every_case_and_every_attack(person: Person) -> None:
    cases, attacks = person.attack("--list").stdout, person.attack("--all").stdout

    assert all(f"the model {case.way}" in cases for case in CASES)
    assert [line[:4] for line in attacks.splitlines()] == [known.id for known in catalog.ATTACKS]
    assert "A-59  A server that shadows another (foreign tools): joins with MCP" in attacks


@pytest.mark.parametrize(("only", "said"), [("A-99", "no attack 'A-99'"), ("A-59", "MCP servers")])
def test_an_attack_that_is_not_there_is_a_usage_error(only: str, said: str, person: Person) -> None:
    done = person.attack("--only", only)

    assert done.returncode == 2
    assert said in done.stderr
