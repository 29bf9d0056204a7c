"""Which options each plain git command may have; see `porcelain`.

    "-m="       takes a value, in the same word or the next
    "--track?"  may have a value behind `=`
    "-1"        a number, as in `git log -5`

Not in any list: what runs a program (`--exec`, `--upload-pack`, `-i`, `--edit` aside, for which the
editor is `true`), signs, or reads its work from elsewhere. An option that only abbreviates one of
these lists is not in them either.
"""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True):
    """The options of one subcommand."""

    words: frozenset[str]

    def is_flag(self, name: str) -> bool:
        """Whether it may stand alone."""
        return name in self.words or f"{name}?" in self.words

    def takes_value(self, name: str) -> bool:
        """Whether it needs a value."""
        return f"{name}=" in self.words

    def may_take_value(self, name: str) -> bool:
        """Whether it may have a value in the same word."""
        return f"{name}?" in self.words


def _options(*texts: str) -> Options:
    return Options(frozenset(" ".join(texts).split()))


_QUIET = "-q --quiet -v --verbose"
_MESSAGE = "-m= --message= -F= --file= --no-edit --edit -e --cleanup= --signoff --no-signoff"
_GOING_ON = "--continue --abort --skip --quit"
_STATS = "--stat? --no-stat --shortstat --numstat --summary --name-only --name-status"
_DIFF = _STATS + (
    " -p -u --patch -U= --unified= -w -b --ignore-all-space --ignore-space-change --word-diff?"
    " --color? --no-color --cached --staged --merge-base -R -M? -C? --find-renames? --no-renames"
    " --diff-filter= --exit-code --minimal --patience --histogram --raw --full-index --binary"
    " --check --relative? --no-ext-diff --no-textconv --no-patch -z --quiet"
)
_LOG = _DIFF + (
    " -1 -n= --max-count= --skip= --oneline --graph --decorate? --no-decorate --all --branches?"
    " --tags? --remotes? --first-parent --merges --no-merges --reverse --follow --since= --until="
    " --after= --before= --author= --committer= --grep= -i -E -F --all-match -S= -G= --format="
    " --pretty? --abbrev-commit --abbrev? --date= --date-order --topo-order --no-walk? --boundary"
    " --left-right --cherry-pick --cherry-mark --ancestry-path --source --parents -L= -s"
)
_FETCH = (
    " --all -p --prune -t --tags --no-tags --depth= --deepen= --unshallow -n --dry-run -f --force"
    " --no-recurse-submodules --progress --no-progress --atomic -4 -6 --set-upstream"
)

WRITING: dict[str, Options] = {
    "add": _options(
        _QUIET, "-A --all -u --update -n --dry-run -f --force -N --intent-to-add --refresh",
        "--ignore-errors --ignore-removal --no-all --chmod= --renormalize --sparse",
    ),
    "commit": _options(
        _QUIET, _MESSAGE, "-s -a --all --amend --allow-empty --allow-empty-message --author=",
        "--date=",
        "-n --no-verify --fixup= --squash= --reset-author -o --only -i --include --dry-run --short",
        "-C= --reuse-message= --porcelain --no-post-rewrite --no-gpg-sign -u? --status",
    ),
    "branch": _options(
        _QUIET, "-d --delete -D -m --move -M -c --copy -a --all -r --remotes -l --list -f --force",
        "--show-current -u= --set-upstream-to= --unset-upstream --contains= --no-contains=",
        "--merged= --no-merged= --sort= --format= --points-at= -t --track? --no-track --column?",
        "--no-column --color? --no-color --abbrev= --no-abbrev -i --ignore-case -vv",
    ),
    "switch": _options(
        _QUIET, "-c= --create= -C= --force-create= -d --detach --orphan= -t --track? --no-track",
        "--guess --no-guess -f --force --discard-changes -m --merge --conflict= --progress",
        "--no-progress --ignore-other-worktrees --no-recurse-submodules",
    ),
    "checkout": _options(
        _QUIET, "-b= -B= --detach -d --orphan= -t --track? --no-track -f --force -m --merge --ours",
        "--theirs --conflict= --guess --no-guess --progress --no-progress",
        "--ignore-skip-worktree-bits",
        "--ignore-other-worktrees --overlay --no-overlay -l --no-recurse-submodules",
    ),
    "merge": _options(
        _QUIET, _MESSAGE, "--no-ff --ff --ff-only --squash --no-squash --commit --no-commit",
        "--abort",
        "--continue --quit --stat -n --no-stat --log? --no-log --allow-unrelated-histories -X=",
        "--strategy-option= --autostash --no-autostash --no-verify --no-gpg-sign",
        "--no-rerere-autoupdate",
        "--progress --no-progress",
    ),
    "rebase": _options(
        _QUIET, _GOING_ON, "--onto= --root --autostash --no-autostash --keep-empty --no-keep-empty",
        "--keep-base --fork-point --no-fork-point --stat -n --no-stat -f --force-rebase --no-ff",
        "--committer-date-is-author-date --reset-author-date --ignore-date --no-verify",
        "--reapply-cherry-picks --no-reapply-cherry-picks --update-refs --no-update-refs --apply",
        "--merge -r? --rebase-merges? --no-gpg-sign --signoff",
    ),
    "cherry-pick": _options(
        _QUIET, _GOING_ON, "-x -n --no-commit -m= --mainline= --no-edit -e --edit -s",
        "--signoff --ff",
        "--allow-empty --allow-empty-message --keep-redundant-commits --no-gpg-sign",
    ),
    "revert": _options(
        _QUIET, _GOING_ON, "-n --no-commit -m= --mainline= --no-edit -e --edit -s --signoff",
        "--reference --no-gpg-sign",
    ),
    "stash": _options(
        _QUIET, "-m= --message= -u --include-untracked --no-include-untracked -a --all -k",
        "--keep-index --no-keep-index -S --staged --index", _DIFF, "--oneline -1",
    ),
    "tag": _options(
        "-a --annotate -m= --message= -F= --file= -d --delete -f --force -l --list -n? --sort=",
        "--contains= --no-contains= --merged= --no-merged= --points-at= --format= --no-sign -v? -i",
        "--column? --no-column --cleanup= --create-reflog",
    ),
    "restore": _options(
        _QUIET, "-s= --source= -S --staged -W --worktree --ours --theirs -m --merge --conflict=",
        "--ignore-unmerged --ignore-skip-worktree-bits --overlay --no-overlay --progress",
        "--no-progress --no-recurse-submodules",
    ),
    "reset": _options(
        _QUIET, "--soft --mixed --hard --merge --keep -N --intent-to-add --refresh --no-refresh",
        "--no-recurse-submodules",
    ),
    "rm": _options(_QUIET, "-r -f --force -n --dry-run --cached --ignore-unmatch --sparse"),
    "worktree": _options(_QUIET, "-b= -B= -d --detach --no-track --track --porcelain -n --dry-run"),
    "init": _options(_QUIET, "-b= --initial-branch="),
}  # fmt: skip
"""Commands that write `.git`, and the work tree with it."""

READING: dict[str, Options] = {
    "status": _options(
        "-s --short -b --branch --porcelain? -u? --untracked-files? --ignored? --long -v --verbose",
        "--show-stash --ahead-behind --no-ahead-behind --renames --no-renames --column? -z",
        "--no-column --ignore-submodules?",
    ),
    "diff": _options(_DIFF),
    "log": _options(_LOG),
    "show": _options(_LOG),
    "shortlog": _options("-s -n -e -c --summary --numbered --email"),
    "rev-parse": _options(
        "--abbrev-ref? --short? --show-toplevel --verify -q --quiet --is-inside-work-tree HEAD",
        "--symbolic-full-name --git-dir --show-prefix --show-cdup --is-bare-repository",
    ),
    "ls-files": _options(
        "-c --cached -m --modified -d --deleted -o --others -i --ignored -s --stage -u --unmerged",
        "--exclude-standard -z -t -v --error-unmatch --full-name --deduplicate --eol",
    ),
    "merge-base": _options("--is-ancestor --fork-point -a --all --octopus --independent"),
    "reflog": _options("-1 -n= --oneline --all --date= --format= --pretty?"),
    "remote": _options("-v --verbose"),
}
"""Commands that may stand beside those that write."""

REMOTE: dict[str, Options] = {
    "push": _options(
        _QUIET, "-u --set-upstream --tags --follow-tags --all -d --delete -f --force",
        "--force-with-lease? --force-if-includes -n --dry-run --atomic --no-verify --prune",
        "--porcelain --progress --no-progress --no-follow-tags -4 -6 --mirror",
    ),
    "fetch": _options(_QUIET, _FETCH),
    "pull": _options(
        _QUIET, _FETCH, "-r? --rebase? --no-rebase --ff --no-ff --ff-only --commit --no-commit",
        "--edit --no-edit --autostash --no-autostash --stat --no-stat --squash --no-squash",
        "--allow-unrelated-histories --no-verify --no-gpg-sign",
    ),
    "clone": _options(
        _QUIET, "--depth= -b= --branch= --single-branch --no-single-branch --no-tags -n",
        "--no-checkout --bare --mirror -o= --origin= --progress --no-recurse-submodules",
        "--shallow-since= --filter= --sparse",
    ),
    "ls-remote": _options("-h --heads -t --tags --refs -q --quiet --exit-code --symref --sort= -b"),
}  # fmt: skip
"""Commands that talk to another machine, and write `.git` or a new folder."""
