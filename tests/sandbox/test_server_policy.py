"""A server that speaks over pipes gets what was named for it, and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, Command, Mode, Network, open_sandbox
from octavo.sandbox.server_policy import ServerCage, ServerDoor, server_cage

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada", "API_TOKEN": "t", "OPENAI_API_KEY": "k"}


def caged(place: Path, door: ServerDoor, name: str = "notes") -> ServerCage:
    return server_cage(
        name, door, workspace=place / "work", octavo_home=place / "home", environ=ENVIRON
    )


def test_nothing_is_given_that_was_not_named(tmp_path: Path) -> None:
    cage = caged(tmp_path, ServerDoor())

    home = tmp_path / "home/servers/notes"
    assert cage.home == home
    assert cage.env == {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": "/tmp"}
    assert cage.policy.network == OFF
    assert cage.policy.mode is Mode.WORKSPACE_WRITE
    assert (cage.policy.write_cwd, cage.policy.writable_roots) == (False, (home,))
    assert cage.policy.tmp == "private"


def test_what_is_named_is_given(tmp_path: Path) -> None:
    door = ServerDoor(
        network=("api.example.com",),
        variables=("API_TOKEN", "NOT_SET"),
        env={"HOME": "/srv/x"},
        writes_workspace=True,
    )

    cage = caged(tmp_path, door)

    assert cage.policy.network == Network("hosts", allow=("api.example.com",))
    assert cage.policy.write_cwd
    assert cage.env["API_TOKEN"] == "t"
    assert cage.env["HOME"] == "/srv/x"
    assert "OPENAI_API_KEY" not in cage.env
    assert "NOT_SET" not in cage.env


@pytest.mark.parametrize(
    ("name", "door", "said"),
    [
        ("../up", ServerDoor(), "server's name"),
        ("", ServerDoor(), "server's name"),
        ("a", ServerDoor(network=("a.*",)), "Server a: network:"),
        ("a", ServerDoor(variables=("A=b",)), "name of an environment variable"),
        ("a", ServerDoor(env={"A": "\0"}), "NUL"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, name: str, door: ServerDoor, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        caged(tmp_path, door, name)


@pytest.mark.anyio
async def test_a_server_writes_at_home_and_reads_no_other_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTAVO_HOME", str(tmp_path / "home"))
    cage = caged(tmp_path, ServerDoor())
    cage.home.mkdir(parents=True, mode=0o700)
    (tmp_path / "home/servers/other").mkdir()
    (tmp_path / "home/servers/other/token").write_text("secret")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/file").write_text("work")
    script = (
        "cat file; touch made || echo held; touch ~/kept && echo kept; touch /tmp/x && echo tmp;"
        "cat ../home/servers/other/token; ls -A /tmp; env"
    )

    async with open_sandbox(cage.policy) as sandbox:
        process = await sandbox.spawn(
            Command(("/bin/sh", "-c", script), tmp_path / "work", cage.env)
        )
        output = b""
        while data := await process.read():
            output += data
        await process.wait()
    told = output.decode()

    assert told.startswith("work")
    for word in ("held", "kept", "tmp"):
        assert f"{word}\n" in told
    assert "secret" not in told
    assert "OPENAI_API_KEY" not in told
    assert (cage.home / "kept").exists()
    assert not (tmp_path / "work/made").exists()
