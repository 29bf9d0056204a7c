"""Which shell commands are patches."""

from __future__ import annotations

import pytest

from octavo.tools.patch.heredoc import extract_heredoc

PATCH = "*** Begin Patch\n*** Delete File: $a\n*** End Patch\n"


@pytest.mark.parametrize(
    ("command", "directory"),
    [
        (f"apply_patch <<'EOF'\n{PATCH}EOF", None),
        (f"apply_patch <<EOF\n{PATCH}EOF\n\n", None),
        (f'\n applypatch << "END_1"\n{PATCH}END_1\n', None),
        (f"cd src/a-b && apply_patch <<'EOF'\n{PATCH}EOF", "src/a-b"),
        (f"cd 'my $dir' && apply_patch <<'EOF'\n{PATCH}EOF", "my $dir"),
        (f'cd "my dir" && applypatch <<EOF\n{PATCH}EOF', "my dir"),
    ],
)
def test_a_command_that_is_a_patch_is_taken(command: str, directory: str | None) -> None:
    assert extract_heredoc(command) == (PATCH, directory)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "apply_patch",
        f"apply_patch <<'EOF'\n{PATCH}",
        f"apply_patch <<'EOF'\n{PATCH} EOF",
        f"apply_patch <<'EOF'\n{PATCH}EOF\nrm -rf x",
        f"apply_patch <<'EOF'\nEOF\nrm -rf x\n{PATCH}EOF",
        f"apply_patch <<'EOF' && rm -rf x\n{PATCH}EOF",
        f"apply_patch <<'EOF' | tee x\n{PATCH}EOF",
        f"echo hi; apply_patch <<'EOF'\n{PATCH}EOF",
        f"rm x && apply_patch <<'EOF'\n{PATCH}EOF",
        f"cd a; apply_patch <<'EOF'\n{PATCH}EOF",
        f"cd a && cd b && apply_patch <<'EOF'\n{PATCH}EOF",
        f"cd $HOME && apply_patch <<'EOF'\n{PATCH}EOF",
        f'cd "$(id)" && apply_patch <<EOF\n{PATCH}EOF',
        f"cd ~/x && apply_patch <<EOF\n{PATCH}EOF",
        f"cd - && apply_patch <<EOF\n{PATCH}EOF",
        f"apply_patch <<'EOF\n{PATCH}EOF",
        f"apply_patch --check <<EOF\n{PATCH}EOF",
        f"cat <<'EOF'\n{PATCH}EOF",
    ],
)
def test_any_other_command_is_left_to_the_shell(command: str) -> None:
    assert extract_heredoc(command) is None
