"""`octavo config`: what is shown is what holds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from octavo.config.settings import Settings
from tests.cli.running import Shell


def test_nothing_set_says_so_and_all_shows_every_default(shell: Shell) -> None:
    assert shell.octavo("config", "show").stdout.startswith("Nothing is set;")
    done = shell.octavo("config", "show", "--all")
    shown = {line.split(" = ")[0].split(".")[0] for line in done.stdout.splitlines()}
    # A table of tables has no values until one is made.
    assert shown == set(Settings.__struct_fields__) - {
        *("model_providers", "projects", "permissions", "prices", "hooks", "mcp_servers")
    }
    assert not shell.home.exists()


def test_each_value_is_shown_with_its_origin(shell: Shell) -> None:
    file = shell.settings('# mine\nmodel = "a"\n\n[tools.update_plan]\nenabled = false\n')
    (shell.home / "p.config.toml").write_text('model_verbosity = "low"')

    done = shell.octavo("config", "show", "-p", "p", "-c", "step_limit=7")

    rows = [line.split("  # ") for line in done.stdout.splitlines()]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ['model = "a"', f"user: {file}:2"],
        ['model_verbosity = "low"', f"profile: {shell.home}/p.config.toml:1"],
        ["step_limit = 7", "-c"],
        ["tools.update_plan.enabled = false", f"user: {file}:5"],
    ]


def test_the_settings_of_the_guides_can_be_shown(shell: Shell) -> None:
    guides = Path(__file__).parents[2] / "docs" / "guide"
    for guide in sorted(guides.glob("*.md")):
        for block in re.findall(r"```toml\n(.*?)```", guide.read_text(), re.DOTALL):
            shell.settings(block)
            done = shell.octavo("config", "show", "--strict-config")
            shown = tomllib.loads(done.stdout)
            assert (done.returncode, done.stderr) == (0, ""), (guide, block)
            assert shown.keys() == tomllib.loads(block).keys(), (guide, block)


def test_what_is_shown_can_be_read_as_toml(shell: Shell) -> None:
    shell.settings('[projects."/a \'b\' \\"c\\""]\ntrust_level = "trusted"\n')
    done = shell.octavo("config", "show")
    assert tomllib.loads(done.stdout) == {"projects": {"/a 'b' \"c\"": {"trust_level": "trusted"}}}


def test_secrets_are_masked(shell: Shell) -> None:
    shell.settings(
        'openai_base_url = "https://me:hunter2@host/v1"\n'
        "[model_providers.a]\n"
        'experimental_bearer_token = "hunter2"\n'
        'http_headers = { X = "hunter2" }\n'
        'query_params = { api_key = "hunter2", version = "7" }\n'
        "[shell_environment_policy]\n"
        'set = { MY_TOKEN = "hunter2", PAGER = "less" }\n'
    )
    for more in ([], ["--json"], ["--all"]):
        done = shell.octavo("config", "show", *more)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout
        assert "less" in done.stdout
        assert "host/v1" in done.stdout


def test_json_tells_values_layers_lines_and_warnings(shell: Shell) -> None:
    file = shell.settings('model = "a"\nmodle = 1\n')
    shown = json.loads(shell.octavo("config", "show", "--json").stdout)
    assert shown["values"] == {
        "model": {"value": "a", "layer": "user", "file": str(file), "line": 1}
    }
    assert shown["warnings"] == [f"{file}:2:1: unknown key modle; did you mean model?"]
    assert shown["trusted"] is False


def test_one_setting_or_table_is_shown_alone(shell: Shell) -> None:
    shell.settings('model = "a"\n[gc]\nmax_age_days = 3\n')
    one = shell.octavo("config", "show", "gc.max_age_days").stdout.splitlines()
    table = shell.octavo("config", "show", "gc").stdout.splitlines()
    none = shell.octavo("config", "show", "modle")

    assert [line.split("  #")[0].rstrip() for line in one] == ["gc.max_age_days = 3"]
    assert [line.split(" = ")[0] for line in table] == [
        *("gc.max_age_days", "gc.outputs_bytes", "gc.snapshots_bytes"),
    ]
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr == (
        "octavo: error: There is no setting modle. `octavo config show --all` shows all.\n"
    )


def test_path_lists_the_files_that_count(shell: Shell) -> None:
    file = shell.settings("")
    project = shell.cwd / ".octavo/config.toml"
    project.parent.mkdir()
    project.write_text("")
    assert shell.octavo("config", "path").stdout == f"{file}\n"
    shell.octavo("trust")
    assert shell.octavo("config", "path").stdout == f"{file}\n{project}\n"


def test_a_broken_file_is_shown_and_exits_2(shell: Shell) -> None:
    file = shell.settings("model = \n")
    done = shell.octavo("config", "show")
    assert done.returncode == 2
    assert done.stderr == (
        f"octavo: error: {file}:1:9: Invalid value.\n    model = \n            ^\n"
    )


def test_strict_refuses_what_octavo_does_not_know(shell: Shell) -> None:
    file = shell.settings("\nmodle = 1")
    done = shell.octavo("config", "show", "--strict-config")
    assert done.returncode == 2
    assert done.stderr == (f"octavo: error: {file}:2:1: unknown key modle; did you mean model?\n")


def test_trust_and_untrust_change_what_holds(shell: Shell) -> None:
    (shell.cwd / ".git").mkdir()
    (shell.cwd / ".git" / "HEAD").touch()
    (shell.cwd / ".octavo").mkdir()
    (shell.cwd / ".octavo/config.toml").write_text('model = "project"')
    below = shell.cwd / "below"
    below.mkdir()

    def model() -> str | None:
        values = json.loads(shell.octavo("config", "show", "--json", cwd=below).stdout)["values"]
        return values["model"]["value"] if values else None

    assert model() is None
    assert shell.octavo("trust", cwd=below).stdout == f"Trusted: {shell.cwd}\n"
    assert model() == "project"
    assert shell.octavo("untrust", str(below)).stdout == f"Not trusted: {shell.cwd}\n"
    assert model() is None

    shell.settings(f'[projects."{shell.cwd}"]\ntrust_level = "untrusted"\n')
    done = shell.octavo("trust")
    assert done.returncode == 2
    assert "in your settings says untrusted" in done.stderr


def test_a_home_that_cannot_be_written_is_said_with_the_way_out(
    shell: Shell, tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    shell.env["OCTAVO_HOME"] = str(blocker / "home")
    done = shell.octavo("trust")
    assert done.returncode == 2
    assert done.stderr == (
        f"octavo: error: {blocker}/home cannot be made: {blocker} is not a directory. "
        "Make it writable, or set OCTAVO_HOME to a directory that is.\n"
    )


def test_a_codex_setup_is_taken_over_and_reported(shell: Shell, tmp_path: Path) -> None:
    codex = tmp_path / ".codex"
    (codex / "rules").mkdir(parents=True)
    (codex / "config.toml").write_text(
        'model = "gpt-5"\nmodel_verbosity = "high"\npersonality = "x"\nnovelty = 1\n'
        'approval_policy = "on-failure"\nmodel_instructions_file = "me.md"\n'
        '[model_providers.a]\nbase_url = "http://a/v1"\nexperimental_bearer_token = "sk-1"\n'
        'http_headers = { Authorization = "Bearer sk-2", X-Team = "t" }\n'
        "[history]\nmax_bytes = 3\n[tools]\nweb_search = { context_size = 1 }\n"
    )
    (codex / "AGENTS.md").write_text("Be brief.")
    (codex / "rules/default.rules").write_text('prefix_rule(pattern=["ls"])')
    (codex / "auth.json").write_text('{"OPENAI_API_KEY": "sk-3"}')
    shell.settings('# mine\nmodel = "ours"\n')

    done = shell.octavo("config", "import-codex")

    assert done.returncode == 0, done.stderr
    outcome = {row.split()[1]: row.split()[0] for row in done.stdout.split("\n\n")[0].splitlines()}
    assert outcome == {
        "model": "kept",
        "model_verbosity": "taken",
        "personality": "left",
        "novelty": "left",
        "approval_policy": "taken",
        "model_instructions_file": "taken",
        "model_providers.a.base_url": "taken",
        "model_providers.a.experimental_bearer_token": "left",
        "model_providers.a.http_headers.Authorization": "left",
        "model_providers.a.http_headers.X-Team": "taken",
        "history.max_bytes": "left",
        "tools.web_search.context_size": "left",
        "AGENTS.md": "taken",
        "rules/default.rules": "taken",
        "auth.json": "left",
    }
    text = (shell.home / "config.toml").read_text()
    assert text.startswith('# mine\nmodel = "ours"\n')
    assert tomllib.loads(text) == {
        "model": "ours",
        "model_verbosity": "high",
        "approval_policy": "on-request",
        "model_instructions_file": str(codex / "me.md"),
        "model_providers": {"a": {"base_url": "http://a/v1", "http_headers": {"X-Team": "t"}}},
    }
    everything = "".join(p.read_text() for p in shell.home.rglob("*") if p.is_file())
    assert "sk-" not in everything
    assert shell.octavo("config", "show", "--strict-config").returncode == 0

    again = shell.octavo("config", "import-codex").stdout
    assert "taken " not in again.split("\n\n")[0]
    assert (shell.home / "config.toml").read_text() == text
    forced = shell.octavo("config", "import-codex", "--force")
    assert forced.returncode == 0
    assert tomllib.loads((shell.home / "config.toml").read_text())["model"] == "gpt-5"


def test_a_codex_setup_that_is_not_there_or_broken_changes_nothing(
    shell: Shell, tmp_path: Path
) -> None:
    done = shell.octavo("config", "import-codex")
    assert done.returncode == 2
    assert "is not there. Set CODEX_HOME" in done.stderr
    (tmp_path / "c").mkdir()
    (tmp_path / "c/config.toml").write_text("a = ")
    done = shell.octavo("config", "import-codex", "--from", str(tmp_path / "c"))
    assert done.returncode == 2
    assert "config.toml:1:5: Invalid value." in done.stderr
    assert not shell.home.exists()


def test_a_setting_is_set_and_taken_out_and_comments_stay(shell: Shell) -> None:
    file = shell.settings("# mine\nstep_limit = 3 # few\n")

    done = shell.octavo("config", "set", "step_limit", "7")
    text = shell.octavo("config", "set", "model", "gpt-5.1")
    listed = shell.octavo("config", "set", "tui.notifications", '["agent-turn-complete"]')
    written = file.read_text()
    gone = shell.octavo("config", "unset", "tui")
    again = shell.octavo("config", "unset", "tui.notifications")

    assert (done.returncode, done.stdout) == (0, f"step_limit is set in {file}.\n")
    assert (text.returncode, listed.returncode, gone.returncode) == (0, 0, 0)
    assert written == (
        '# mine\nstep_limit = 7 # few\nmodel = "gpt-5.1"\n\n'
        '[tui]\nnotifications = ["agent-turn-complete"]\n'
    )
    assert file.read_text() == '# mine\nstep_limit = 7 # few\nmodel = "gpt-5.1"\n\n'
    assert (again.returncode, again.stdout) == (0, f"tui.notifications is not set in {file}.\n")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step_limit", "many", "step_limit: expected a whole number"),
        ("stepp_limit", "3", "did you mean step_limit?"),
        ("step limit", "3", "is not a setting's name"),
        ("budget.turn.max_cost_usd", "inf", "no value that a setting has"),
    ],
)
def test_a_setting_that_would_not_load_is_not_written(
    key: str, value: str, said: str, shell: Shell
) -> None:
    file = shell.settings("# mine\n")
    done = shell.octavo("config", "set", key, value)

    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert file.read_text() == "# mine\n"


def test_a_first_setting_makes_the_file(shell: Shell) -> None:
    done = shell.octavo("config", "set", "undo.enabled", "false")

    file = shell.home / "config.toml"
    assert (done.returncode, file.read_text()) == (0, "[undo]\nenabled = false\n")
    assert file.stat().st_mode & 0o777 == 0o600
