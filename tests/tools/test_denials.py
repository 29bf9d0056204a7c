"""What a command's words say about the sandbox it ran in."""

from __future__ import annotations

from octavo.tools.denials import about_remotes


def test_gh_that_cannot_read_the_persons_login_is_told_to_be_on_its_own() -> None:
    said = "failed to read configuration:  open /home/me/.config/gh/config.yml: permission denied\n"

    assert "run gh in a call of its own" in (about_remotes(said) or "")
    assert about_remotes("open /home/me/.config/other/config.yml: permission denied\n") is None
