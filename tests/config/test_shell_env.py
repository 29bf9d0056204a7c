"""Which variables commands get."""

from __future__ import annotations

from octavo.config.shell_env import command_env

_OURS = {
    "HOME": "/home/u",
    "PATH": "/usr/bin",
    "EDITOR": "vim",
    "OPENAI_API_KEY": "x",
    "npm_config_token": "x",
    "GIT_DIR": "/repo/.git",
    "SSH_AUTH_SOCK": "/run/agent",
}


def test_keys_and_the_addresses_of_agents_are_left_out() -> None:
    assert command_env(_OURS) == {
        "HOME": "/home/u",
        "PATH": "/usr/bin",
        "EDITOR": "vim",
        "GIT_DIR": "/repo/.git",
    }


def test_the_default_excludes_can_be_lifted_but_agents_stay_out() -> None:
    env = command_env(_OURS, ignore_default_excludes=True)
    assert set(_OURS) - set(env) == {"SSH_AUTH_SOCK"}


def test_core_takes_only_what_every_program_needs() -> None:
    assert command_env(_OURS, inherit="core") == {"HOME": "/home/u", "PATH": "/usr/bin"}


def test_none_takes_nothing_but_what_is_set() -> None:
    assert command_env(_OURS, inherit="none", set={"A": "1"}) == {"A": "1"}


def test_patterns_ignore_case_and_what_is_set_wins_over_what_is_excluded() -> None:
    env = command_env(_OURS, exclude=["git_*", "ED?TOR"], set={"EDITOR": "ed", "MY_KEY": "k"})
    assert env == {"HOME": "/home/u", "PATH": "/usr/bin", "EDITOR": "ed", "MY_KEY": "k"}


def test_include_only_is_last() -> None:
    assert command_env(_OURS, set={"A": "1"}, include_only=["p*", "A"]) == {
        "PATH": "/usr/bin",
        "A": "1",
    }
