"""Changing what runs or decides later, inside the workspace."""

from __future__ import annotations

from tests.sandbox.escapes import UNDONE, ways

_GIT = (
    "import subprocess\n"
    "run = lambda *a: subprocess.run(['git', *a], cwd=WS, check=True, capture_output=True,"
    " env=env | {'GIT_CONFIG_GLOBAL': '/dev/null'})\n"
)

WAYS = (
    *ways(
        gap=UNDONE,
        write_gits_config="write(WS + '/.git/config', '[x]', 'a')",
        write_gits_config_through_a_link=(
            "os.path.lexists(WS + '/g') or os.symlink('.git', WS + '/g')\n"
            "write(WS + '/g/config', '[x]', 'a')"
        ),
        write_gits_config_through_proc="write('/proc/self/root' + WS + '/.git/config', '[x]', 'a')",
        truncate_gits_head="os.truncate(WS + '/.git/HEAD', 0)",
        make_a_git_hook="write(WS + '/.git/hooks/pre-commit')",
        make_a_git_attribute_file="write(WS + '/.git/info/attributes')",
        make_a_git_alternates_file=(
            "os.makedirs(WS + '/.git/objects/info', exist_ok=True)\n"
            "write(WS + '/.git/objects/info/alternates')"
        ),
        replace_git="os.rename(WS + '/.git', WS + '/git')",
        remove_git="shutil.rmtree(WS + '/.git')",
        link_a_hook_elsewhere="os.symlink(OUT, WS + '/.git/hooks/x')",
        change_gits_mode="os.chmod(WS + '/.git', 0o700)",
        set_a_git_setting=_GIT + "run('config', 'core.pager', 'evil')",
        add_to_gits_index=_GIT + "run('add', 'file')",
        change_mcp_json="write(WS + '/.mcp.json')",
        replace_mcp_json="write(WS + '/new'); os.rename(WS + '/new', WS + '/.mcp.json')",
        remove_mcp_json="os.unlink(WS + '/.mcp.json')",
        change_an_editors_settings="write(WS + '/.vscode/settings.json')",
        make_an_editors_task="write(WS + '/.vscode/tasks.json')",
        make_a_missing_envrc="write(WS + '/.envrc')",
        make_a_missing_claude=(
            "os.makedirs(WS + '/.claude', exist_ok=True); write(WS + '/.claude/settings.json')"
        ),
        make_a_missing_agents=(
            "os.makedirs(WS + '/.agents', exist_ok=True); write(WS + '/.agents/x')"
        ),
        make_a_missing_codex="os.makedirs(WS + '/.codex', exist_ok=True); write(WS + '/.codex/x')",
        make_a_missing_idea="os.makedirs(WS + '/.idea', exist_ok=True); write(WS + '/.idea/x')",
        make_another_octavo_folder=(
            "os.makedirs(WS + '/.octavo', exist_ok=True); write(WS + '/.octavo/config.toml')"
        ),
        write_a_nested_repositorys_config="write(WS + '/sub/nested/.git/config', '[x]', 'a')",
        make_a_nested_repositorys_hook="write(WS + '/sub/nested/.git/hooks/post-checkout')",
        move_a_nested_repositorys_ancestor="os.rename(WS + '/sub', WS + '/moved')",
    ),
    *ways(
        gap=UNDONE,
        canary=False,
        move_the_nested_repository="os.rename(WS + '/sub/nested', WS + '/n')",
        write_gits_config_through_a_hard_link=(
            "os.link(WS + '/.git/config', WS + '/c'); write(WS + '/c', '[x]', 'a')"
        ),
        exchange_git_with_a_folder=(
            "os.mkdir(WS + '/e')\n"
            "syscall(316, 276, -100, (WS + '/.git').encode(), -100, (WS + '/e').encode(), 2)"
        ),
        remove_a_placeholder="os.rmdir(WS + '/.codex')",
        link_a_placeholder_elsewhere="os.rmdir(WS + '/.idea'); os.symlink(OUT, WS + '/.idea')",
    ),
)
