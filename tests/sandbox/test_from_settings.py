"""Settings become a policy."""

from __future__ import annotations

from pathlib import Path

from octavo.config.load import load
from octavo.sandbox import OPEN, Limits, Mode, Policy
from octavo.sandbox.from_settings import sandbox_policy


def _policy(tmp_path: Path, *overrides: str) -> Policy:
    env = {"HOME": str(tmp_path), "OCTAVO_HOME": str(tmp_path / "home")}
    loaded = load(cwd=tmp_path, env=env, overrides=overrides)
    return sandbox_policy(loaded, tmp_path, [tmp_path / "added"])


def test_outside_a_repository_nothing_may_be_written() -> None:
    place = Path.home() / "settings"  # nothing above it is anybody's
    place.mkdir()

    assert _policy(place).mode is Mode.READ_ONLY
    (place / ".git").mkdir()
    (place / ".git" / "HEAD").touch()
    assert _policy(place).mode is Mode.WORKSPACE_WRITE


def test_every_setting_of_the_sandbox_counts(tmp_path: Path) -> None:
    prefix = "sandbox_workspace_write."

    policy = _policy(
        tmp_path,
        'sandbox_mode="workspace-write"',
        f'{prefix}writable_roots=["/srv"]',
        f"{prefix}network_access=true",
        f"{prefix}exclude_slash_tmp=true",
        f"{prefix}exclude_tmpdir_env_var=true",
        f'{prefix}tmp="private"',
    )

    assert policy == Policy(
        mode=Mode.WORKSPACE_WRITE,
        cwd=tmp_path,
        writable_roots=(Path("/srv"), tmp_path / "added"),
        network=OPEN,
        write_tmp=False,
        write_tmpdir=False,
        tmp="private",
    )


def test_limits_are_settings_and_nothing_is_no_limit(tmp_path: Path) -> None:
    assert _policy(tmp_path).limits == Limits()

    policy = _policy(
        tmp_path,
        "sandbox_limits.pids=600",
        "sandbox_limits.memory_bytes=1000000000",
        "sandbox_limits.file_size_bytes=0",
        "sandbox_limits.cpu_s=60",
        "sandbox_limits.open_files=0",
    )

    assert policy.limits == Limits(600, 1_000_000_000, None, 60, None)
