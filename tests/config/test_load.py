"""Layers become one Settings, and every mistake in one is told with its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from octavo.config.keys import dotted
from octavo.config.load import Loaded, Source, load
from octavo.config.settings import Granular, GranularPolicy
from octavo.config.toml_text import locate
from octavo.config.trust import set_trust
from octavo.protocol.errors import ConfigError, UsageError


class Place:
    """A home and a project on disk."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "project"
        self.system = root / "etc" / "config.toml"
        (self.project / ".git").mkdir(parents=True)
        (self.project / ".git" / "HEAD").touch()

    def write(self, path: Path, text: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def user(self, text: str | bytes) -> Path:
        return self.write(self.home / "config.toml", text)

    def own(self, text: str, directory: str = ".") -> Path:
        return self.write(self.project / directory / ".octavo/config.toml", text)

    def load(self, directory: str = ".", **more: object) -> Loaded:
        cwd = self.project / directory
        env = {"OCTAVO_HOME": str(self.home), "HOME": str(self.home.parent)}
        return load(cwd=cwd, env=env, system_file=self.system, **more)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_any_file_everything_is_default_and_nothing_is_made(place: Place) -> None:
    loaded = place.load()

    assert (loaded.sources, loaded.warnings, loaded.files) == ({}, (), ())
    assert loaded.settings.approval_policy == "on-request"
    assert loaded.settings.project_doc_max_bytes == 32_768
    assert not loaded.settings.shell_environment_policy.ignore_default_excludes
    assert not place.home.exists()


def test_each_layer_wins_over_the_ones_below(place: Place) -> None:
    place.write(place.system, 'model = "system"\nstep_limit = 1')
    place.user('model = "user"\nstep_limit = 2\nmodel_verbosity = "low"')
    place.write(place.home / "fast.config.toml", 'model = "profile"\nstep_limit = 3')
    place.own('model = "outer"\nstep_limit = 4')
    place.own('model = "inner"', "deep/er")
    set_trust(place.home, place.project, "trusted")
    (place.project / "deep/er").mkdir(parents=True, exist_ok=True)

    def model(**more: object) -> tuple[object, Source]:
        loaded = place.load("deep/er", **more)
        return loaded.settings.model, loaded.sources["model"]

    inner = place.project / "deep/er/.octavo/config.toml"
    assert model(profile="fast") == ("inner", Source("project", inner))
    assert model(overrides=["model=c", "model=d"]) == ("d", Source("override"))
    assert model(overrides=["model=c"], flags={"model": "flag"}) == ("flag", Source("flag"))

    loaded = place.load("deep/er", profile="fast", flags={"model": None})
    assert loaded.settings.step_limit == 4
    assert loaded.settings.model_verbosity == "low"
    assert [file.name for file in loaded.files] == [
        "config.toml",
        "config.toml",
        "fast.config.toml",
        "config.toml",
        "config.toml",
    ]
    assert place.load(profile="fast").settings.model == "outer"
    assert place.load(ignore_user_config=True).settings.model_verbosity is None


def test_an_untrusted_projects_file_is_ignored_and_said_so(place: Place) -> None:
    file = place.own('model = "evil"')

    loaded = place.load()

    assert loaded.settings.model is None
    [warning] = loaded.warnings
    assert str(file) in warning
    assert "octavo trust" in warning


@pytest.mark.parametrize(
    "text",
    [
        'sandbox_mode = "danger-full-access"',
        'sandbox_mode = "external"',
        'approval_policy = "never"',
        'openai_base_url = "http://evil"',
        'model_provider = "evil"',
        '[model_providers.evil]\nbase_url = "http://evil"',
        'notify = ["sh"]',
        '[projects."/"]\ntrust_level = "trusted"',
        "[sandbox_workspace_write]\nnetwork_access = true",
        '[sandbox_workspace_write]\ntmp = "host"',
        "[sandbox_limits]\nmemory_bytes = 0",
        '[shell_environment_policy]\nset = { PATH = "/evil" }',
        "[shell_environment_policy]\nignore_default_excludes = true",
        'model_instructions_file = "/etc/shadow"',
        'cli_auth_credentials_store = "file"',
        'web_search = "live"',
        "[tools]\nweb_search = true",
        'project_root_markers = ["x"]',
        "[budget.turn]\nmax_cost_usd = 1000.0",
        "[prices.m]\ninput = 0.0\noutput = 0.0",
        'log_level = "trace"',
        'history = { persistence = "none" }',
        'approvals_reviewer = "auto_review"',
        '[otel]\nexporter = "otlp-http"',
        "analytics = { enabled = true }",
        'chatgpt_base_url = "http://evil"',
    ],
)
def test_even_a_trusted_project_cannot_widen_anything(place: Place, text: str) -> None:
    place.own(text)
    set_trust(place.home, place.project, "trusted")

    loaded = place.load()

    assert loaded.trusted
    assert loaded.sources == {}
    assert loaded.settings == Place(place.home).load().settings
    assert len(loaded.warnings) == 1


def test_a_file_above_the_trusted_repository_is_not_read(place: Place) -> None:
    place.user('project_root_markers = [".top"]')
    inner = place.project / "vendor"
    (inner / ".git").mkdir(parents=True)
    (inner / ".git" / "HEAD").touch()
    place.own('model = "outer"')
    place.own('model = "vendor"', "vendor")
    set_trust(place.home, inner, "trusted")
    (place.project / ".top").touch()

    loaded = place.load("vendor")

    assert loaded.project_root == place.project
    assert loaded.settings.model == "vendor"
    assert [str(place.project / ".octavo") in w for w in loaded.warnings] == [True]


def test_the_home_itself_is_not_taken_for_a_project(place: Place) -> None:
    home = place.write(place.project / ".octavo/config.toml", 'model = "mine"').parent
    env = {"OCTAVO_HOME": str(home), "HOME": "/nowhere"}

    loaded = load(cwd=place.project, env=env, system_file=place.system)

    assert loaded.sources["model"].layer == "user"
    assert loaded.warnings == ()


def test_a_project_cannot_trust_itself_through_the_markers(place: Place) -> None:
    place.own('[projects."/"]\ntrust_level = "trusted"\n')
    assert not place.load().trusted


SYNTAX_ERRORS = [
    ("model = gpt", "1:9", "    model = gpt\n            ^"),
    ("a = 1\n[x\n", "2:3", "    [x\n      ^"),
    ("a = 1\na = 2\n", "2:6", "    a = 2\n         ^"),
    ('a = "\x1b[31m', "1:6", '    a = " [31m\n         ^'),
    ("a = [1,", "1:8", "    a = [1,\n           ^"),
]


@pytest.mark.parametrize(("text", "where", "picture"), SYNTAX_ERRORS)
def test_a_syntax_error_names_line_and_column_and_shows_them(
    place: Place, text: str, where: str, picture: str
) -> None:
    file = place.user(text)

    with pytest.raises(ConfigError) as caught:
        place.load()

    message = str(caught.value)
    assert message.startswith(f"{file}:{where}: ")
    assert message.endswith(picture)
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'model = "\xff"', ":1:10: this is not UTF-8 text."),
        (b"# ok\n\n\xfe", ":3:1: this is not UTF-8 text."),
        (b"a = " + b"[" * 50_000, " nests tables or lists too deeply."),
        (b"# " + b"x" * (1 << 20), " is larger than 1 MiB; that is no settings file."),
    ],
)
def test_what_is_no_text_is_refused(place: Place, data: bytes, expected: str) -> None:
    file = place.user(data)
    with pytest.raises(ConfigError) as caught:
        place.load()
    assert str(caught.value) == f"{file}{expected}"


def test_a_directory_or_a_pipe_in_place_of_a_file_is_refused_without_waiting(place: Place) -> None:
    (place.home / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="is not a file"):
        place.load()
    (place.home / "config.toml").rmdir()
    os.mkfifo(place.home / "config.toml")
    with pytest.raises(ConfigError, match="is not a file"):
        place.load()


WRONG_VALUES = [
    ("step_limit = 0", "step_limit: expected a whole number from 1 to 1000000000, found 0."),
    (
        'step_limit = "9"',
        "step_limit: expected a whole number from 1 to 1000000000, found a string.",
    ),
    ("step_limit = 1.5", "step_limit: expected a whole number from 1 to 1000000000, found 1.5."),
    (
        'sandbox_mode = "none"',
        'sandbox_mode: expected one of "read-only", "workspace-write", "external", '
        '"danger-full-access", found "none".',
    ),
    ("hide_agent_reasoning = 1", "hide_agent_reasoning: expected true or false, found 1."),
    (
        "budget.turn.max_cost_usd = 0",
        "budget.turn.max_cost_usd: expected a number above 0, up to 1000000, found 0.",
    ),
    ('prices."a.b" = { input = 1 }', 'prices."a.b": output is missing.'),
    ('model = ""', "model: expected a string of 1 to 1000 characters, found an empty string."),
    ("history = 3", "history: expected a table, found 3."),
    ("skills = {config = 3}", "skills.config: expected a list of tables, found 3."),
    (
        'skills = {config = [{}, {enabled = "no"}]}',
        "skills.config.enabled: expected true or false, found a string.",
    ),
    ("model_providers = []", "model_providers: expected a table, found a list."),
    (
        "project_root_markers = [1]",
        "project_root_markers: expected a list of strings, found a list.",
    ),
    (
        '[model_providers."a.b"]\nrequest_max_retries = -1',
        'model_providers."a.b".request_max_retries: expected a whole number from 0 to 100, '
        "found -1.",
    ),
    (
        "[model_providers.x]\nhttp_headers = { A = 1 }",
        "model_providers.x.http_headers.A: expected a string, found 1.",
    ),
    (
        "model = 2026-01-01",
        "model: expected a string of 1 to 1000 characters, found a date or time.",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_VALUES)
def test_a_wrong_value_is_told_with_its_place_and_what_was_expected(
    place: Place, text: str, expected: str
) -> None:
    file = place.user(text)
    with pytest.raises(ConfigError) as caught:
        place.load(overrides=["step_limit=5"])
    message = str(caught.value)
    line = text.count("\n") + 1
    assert message.startswith(f"{file}:{line}:")
    assert message.split(": ", 1)[1] == expected


def test_a_secret_is_never_part_of_a_message(place: Place) -> None:
    place.user('[model_providers.x]\nexperimental_bearer_token = ["sk-secret"]')
    with pytest.raises(ConfigError) as caught:
        place.load()
    assert "sk-secret" not in str(caught.value)


def test_an_unknown_key_is_warned_of_with_the_near_one_and_otherwise_ignored(place: Place) -> None:
    file = place.user('modle = "x"\n[model_providers.a]\nbase_ulr = "y"\n')

    loaded = place.load()

    assert loaded.warnings == (
        f"{file}:1:1: unknown key modle; did you mean model?",
        f"{file}:3:1: unknown key model_providers.a.base_ulr; "
        "did you mean model_providers.a.base_url?",
    )
    assert loaded.sources == {}


def test_strict_makes_an_unknown_key_an_error(place: Place) -> None:
    file = place.user("\n[tools]\nhammer = 1")
    with pytest.raises(ConfigError) as caught:
        place.load(strict=True)
    assert str(caught.value) == f"{file}:3:1: unknown key tools.hammer."


def test_keys_that_only_codex_uses_are_named_once(place: Place) -> None:
    file = place.user('personality = "x"\n[tui]\ntheme = "x"\n[history]\nmax_bytes = 5')
    assert place.load().warnings == (
        f"{file}: octavo does not use personality, tui.theme, history.max_bytes.",
    )
    with pytest.raises(
        ConfigError, match="personality is a Codex setting that octavo does not use"
    ):
        place.load(strict=True)


def test_older_approval_words_are_understood_or_refused(place: Place) -> None:
    assert place.load(overrides=["approval_policy=on-failure"]).settings.approval_policy == (
        "on-request"
    )
    with pytest.raises(ConfigError, match=r"not supported\. Use "):
        place.load(overrides=["approval_policy=untrusted"])


def test_approvals_can_be_chosen_by_kind_of_question(place: Place) -> None:
    place.user('approval_policy = "never"')
    loaded = place.load(overrides=["approval_policy={ granular = { rules = false } }"])
    assert loaded.settings.approval_policy == GranularPolicy(Granular(rules=False))

    place.user("[approval_policy.granular]\nsandbox_approval = 1")
    with pytest.raises(ConfigError, match=r"granular\.sandbox_approval: expected true or false"):
        place.load()
    place.user("approval_policy = 5")
    with pytest.raises(ConfigError, match='one of "on-request", "never" or a table, found 5'):
        place.load()


def test_paths_are_relative_to_the_file_that_names_them(place: Place) -> None:
    place.user(
        'model_instructions_file = "me.md"\n'
        '[sandbox_workspace_write]\nwritable_roots = ["~/a", "/b/../c"]'
    )
    loaded = place.load()
    assert loaded.settings.model_instructions_file == str(place.home / "me.md")
    assert loaded.settings.sandbox_workspace_write.writable_roots == (
        str(place.home.parent / "a"),
        "/c",
    )
    given = place.load(overrides=["sandbox_workspace_write.writable_roots=['x']"])
    assert given.settings.sandbox_workspace_write.writable_roots == (str(place.project / "x"),)


def test_a_missing_profile_names_those_that_are_there(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"There is no profile 'x'\. Make "):
        place.load(profile="x")
    place.write(place.home / "slow.config.toml", "")
    with pytest.raises(ConfigError, match="There are: slow"):
        place.load(profile="x")
    for name in ("../x", "a/b", ""):
        with pytest.raises(ConfigError, match="is not a profile's name"):
            place.load(profile=name)


@pytest.mark.parametrize("argument", ["x", "", "=1", "a b=1", "a..b=1", "model=\udcff"])
def test_an_override_that_is_none_is_a_usage_error(place: Place, argument: str) -> None:
    with pytest.raises(UsageError):
        place.load(overrides=[argument])


def test_an_unchanged_file_is_not_parsed_again(place: Place, tmp_path: Path) -> None:
    """A second process, in which the TOML parser cannot even be imported, reads the same."""
    from octavo.config import tables

    file = place.user('model = "kept"\n[model_providers.a]\nname = "A"')
    old_ns = file.stat().st_ctime_ns
    now = tables.time.time_ns
    kept: Mapping[str, object] = {}
    try:
        tables.time.time_ns = lambda: old_ns + 10_000_000_000
        kept = place.load().sources
    finally:
        tables.time.time_ns = now
    cache = place.home / "cache/config.msgpack"
    assert cache.stat().st_mode & 0o777 == 0o600

    tomllib = sys.modules["tomllib"]
    try:
        sys.modules["tomllib"] = None
        assert place.load().sources == kept
    finally:
        sys.modules["tomllib"] = tomllib

    file.write_text('model = "new!"\n[model_providers.a]\nname = "A"')
    assert place.load().settings.model == "new!"
    cache.write_bytes(b"rubbish")
    assert place.load().settings.model == "new!"


def test_a_file_that_may_still_change_is_not_kept(place: Place) -> None:
    place.user('model = "a"')
    place.load()
    assert not (place.home / "cache").exists()


def test_a_read_only_home_is_no_obstacle_to_reading(place: Place) -> None:
    place.user('model = "a"')
    place.home.chmod(0o500)
    try:
        assert place.load().settings.model == "a"
    finally:
        place.home.chmod(0o700)


def test_a_value_can_be_found_again_in_its_file(place: Place) -> None:
    file = place.user(
        'model = "a"\n\n[model_providers."x.y"]\nname = """\n[no]\n"""\nbase_url = "u"'
    )
    for key, line in (
        (("model",), 1),
        (("model_providers", "x.y"), 3),
        (("model_providers", "x.y", "base_url"), 7),
    ):
        found = locate(file, key)
        assert found is not None
        assert found[0] == line, dotted(key)
    assert locate(file, ("no",)) is None
