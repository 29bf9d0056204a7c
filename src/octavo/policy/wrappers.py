"""Programs that run other programs, seen through: one table, and a function where a table fails.

`inner(command)` yields what a command runs in its turn, as commands or as scripts. To add a
wrapper, add a line to `GRAMMARS`; one whose options nobody has written down belongs to `LAUNCHERS`,
where every word is taken for a possible program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from octavo.policy import UNKNOWN, Command, Shell, Word
from octavo.policy.builtins import RUNNING, assigned
from octavo.policy.options import Grammar, Walked, walk
from octavo.policy.shell import Unreadable


class Script(msgspec.Struct, frozen=True):
    """Text that a command gives to a shell."""

    text: str
    shell: Shell = "sh"
    elsewhere: bool = False


Found = Command | Script

GRAMMARS: dict[str, Grammar] = {
    "env": Grammar(
        flags="i0v",
        values="uCSP",
        long_flags=(
            *("ignore-environment", "null", "debug", "list-signal-handling", "block-signal"),
            *("default-signal", "ignore-signal"),
        ),
        long_values=("unset", "chdir", "split-string", "argv0"),
        assignments=True,
        code=("-S", "--split-string"),
    ),
    "command": Grammar(flags="pvV"),
    "builtin": Grammar(),
    "exec": Grammar(flags="cl", values="a"),
    "noglob": Grammar(),
    "nocorrect": Grammar(),
    "-": Grammar(),
    "nice": Grammar(flags="0123456789", values="n", long_values=("adjustment",)),
    "ionice": Grammar(flags="t", values="cnpPu", long_values=("class", "classdata")),
    "nohup": Grammar(),
    "setsid": Grammar(flags="cfw", long_flags=("ctty", "fork", "wait")),
    "stdbuf": Grammar(values="ioe", long_values=("input", "output", "error")),
    "timeout": Grammar(
        flags="vfp",
        values="ks",
        long_flags=("foreground", "preserve-status", "verbose"),
        long_values=("kill-after", "signal"),
        skip=1,
    ),
    "time": Grammar(
        flags="apvqlh",
        values="fo",
        long_flags=("append", "portability", "verbose", "quiet"),
        long_values=("format", "output"),
    ),
    "xargs": Grammar(
        flags="0rtpxo",
        values="aEILPnsdJRS",
        attached="eil",
        long_flags=(
            *("null", "no-run-if-empty", "interactive", "verbose", "exit", "open-tty"),
            *("show-limits", "replace", "max-lines", "eof"),
        ),
        long_values=(
            *("arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"),
        ),
    ),
    "sudo": Grammar(
        flags="ABbEHKkNnPSsvVil",
        values="aCcDghpRrTtUu",
        long_flags=(
            *("askpass", "background", "bell", "preserve-env", "set-home", "login", "list"),
            *("remove-timestamp", "reset-timestamp", "non-interactive", "preserve-groups", "stdin"),
            *("shell", "validate", "no-update"),
        ),
        long_values=(
            *("auth-type", "close-from", "login-class", "chdir", "group", "host", "prompt"),
            *("chroot", "role", "command-timeout", "type", "other-user", "user"),
        ),
        assignments=True,
    ),
    "doas": Grammar(flags="Lns", values="aCu"),
    "chroot": Grammar(long_flags=("skip-chdir",), long_values=("groups", "userspec"), skip=1),
    "watch": Grammar(
        flags="bcCdegprtvwx",
        values="nqs",
        long_flags=(
            *("beep", "color", "no-color", "differences", "errexit", "chgexit", "precise"),
            *("no-rerun", "no-title", "no-wrap", "exec", "follow"),
        ),
        long_values=("interval", "equexit", "shotsdir"),
    ),
    "ssh": Grammar(
        flags="46AaCfGgKkMNnqsTtVvXxYy",
        values="BbcDEeFIiJLlmOopPQRSWw",
        skip=1,
    ),
    "repeat": Grammar(skip=1),
    "busybox": Grammar(),
    "toybox": Grammar(),
}
GRAMMARS["gtimeout"] = GRAMMARS["timeout"]
GRAMMARS["genv"] = GRAMMARS["env"]
GRAMMARS["gxargs"] = GRAMMARS["xargs"]

SHELLS: dict[str, Shell] = {
    "bash": "bash",
    "rbash": "bash",
    "zsh": "zsh",
    **dict.fromkeys(("sh", "dash", "ash", "ksh", "ksh93", "mksh", "oksh", "yash"), "sh"),
}
OTHER_SHELLS = {"fish", "csh", "tcsh", "nu", "pwsh", "powershell", "xonsh", "elvish", "rc", "osh"}

LAUNCHERS = {
    *("uv", "uvx", "poetry", "pipenv", "pdm", "hatch", "rye", "pixi", "conda", "mamba", "bundle"),
    *("npx", "bunx", "npm", "pnpm", "yarn", "bun", "mise", "asdf", "direnv", "nix", "nix-shell"),
    *("strace", "ltrace", "gdb", "lldb", "valgrind", "perf", "hyperfine", "rr", "catchsegv"),
    *("su", "runuser", "pkexec", "unshare", "nsenter", "setpriv", "capsh", "systemd-run"),
    *("script", "expect", "unbuffer", "tmux", "screen", "dtach", "flock", "lockf", "chronic"),
    *("parallel", "sem", "rush", "entr", "watchexec", "nodemon", "reflex", "fd", "fdfind"),
    *("firejail", "bwrap", "proot", "fakeroot", "fakechroot", "dbus-run-session", "xvfb-run"),
    *("taskset", "chrt", "numactl", "prlimit", "cgexec", "softlimit", "setarch", "linux32"),
    *("linux64", "arch", "caffeinate", "ts", "faketime", "torsocks", "proxychains", "tsocks"),
    *("run-parts", "start-stop-daemon", "daemonize", "run-one", "choom", "uname26", "i386"),
    *("docker", "podman", "nerdctl", "kubectl", "lxc", "distrobox", "toolbox", "wsl", "limactl"),
    *("dotenv", "foreman", "honcho", "op", "aws-vault", "doppler", "sops", "gosu", "su-exec"),
    *("tini", "dumb-init", "catatonit", "at", "batch", "osascript", "git-xargs", "machinectl"),
    *("vim", "vi", "nvim", "ex", "emacs", "rsync", "tar", "socat", "nc", "ncat", "open", "start"),
}
"""Programs that may run another named among their words, by rules nobody wrote down here."""

INPUTS = re.compile(r"/+(dev|proc)/")
"""Where a program's own input has a name."""

CODE_OPTIONS = re.compile(
    r"-\w*c|--(?:command|run|exec|call|rsh|eval|checkpoint-action|to-command|use-compress-program"
    r"|rsync-path|shell-command)"
)


def inner(command: Command) -> Iterator[Found]:
    """Yield what a command runs in its turn.

    Raises:
        Unreadable: it runs something, and nobody can tell what.
    """
    for variable, value in assigned(command):
        if variable in RUNNING and value.text:
            yield _script(value, f"{variable} holds a command")
    name = command.program
    words = command.argv[1:]
    if name in SPECIAL:
        yield from SPECIAL[name](command)
    elif name in SHELLS or name in OTHER_SHELLS:
        yield from _shell(command)
    elif name in GRAMMARS:
        walked = walk(name, words, GRAMMARS[name])
        for variable, value in walked.env:
            if variable in RUNNING and value.text:
                yield _script(value, f"{variable} holds a command")
        if walked.rest:
            yield _wrapped(command, walked)
    elif name in LAUNCHERS:
        yield from _launched(name, words)


def _wrapped(command: Command, walked: Walked) -> Command:
    """Return the command behind a wrapper's options."""
    moved = walked.value("-C", "--chdir", "-D", "-R", "--chroot") is not None
    away = moved or command.program == "chroot"
    return Command(walked.rest, walked.env, command.redirects, elsewhere=away)


def _script(word: Word, what: str, shell: Shell = "sh", *, elsewhere: bool = False) -> Script:
    if not word.literal:
        raise Unreadable(f"{what} that is known only when it runs")
    return Script(word.text, shell, elsewhere)


def _joined(words: tuple[Word, ...], what: str, *, elsewhere: bool = False) -> Script:
    if not all(word.literal for word in words):
        raise Unreadable(f"{what} a command that is known only when it runs")
    return Script(" ".join(word.text for word in words), "sh", elsewhere)


def _shell(command: Command) -> Iterator[Found]:
    """See into `bash -c`, a here-document for a shell, and no further."""
    name = command.program
    words = command.argv[1:]
    code = script = False
    at = 0
    while at < len(words):
        word = words[at]
        if not word.literal:
            if not word.one or word.may_be_option:
                raise Unreadable(f"what `{name}` is to run is known only when it runs")
            break
        if word.text == "--" or not re.match(r"[-+].", word.text):
            at += word.text in ("--", "-")
            break
        if word.text.startswith("--"):
            if word.text not in ("--login", "--posix", "--noprofile", "--norc", "--verbose"):
                if word.text in ("--version", "--help"):
                    return
                raise Unreadable(f"the option {word.text} of `{name}` is not known")
        else:
            code = code or "c" in word.text
            script = script or "s" in word.text
            at += sum(letter in "oO" for letter in word.text)
        at += 1
    if code:
        if name in OTHER_SHELLS:
            raise Unreadable(f"the language of `{name}` is not read")
        if at >= len(words):
            return
        yield _script(words[at], f"`{name}` runs a script", SHELLS[name])
    elif script or at >= len(words) or INPUTS.match(words[at].text):
        yield from _from_input(command)


def _from_input(command: Command) -> Iterator[Found]:
    for redirect in reversed(command.redirects):
        if redirect.op in ("<<", "<<<"):
            if command.program in SHELLS and redirect.target.literal:
                yield Script(redirect.target.text, SHELLS[command.program])
                return
            break
        if redirect.op == "<":
            return
    raise Unreadable(f"`{command.program}` runs what it reads from its input")


def _xargs(command: Command) -> Iterator[Found]:
    walked = walk(command.program, command.argv[1:], GRAMMARS["xargs"])
    if not walked.rest:
        return
    mark = walked.value("-I", "-i", "--replace", "-J")
    if mark is None:
        yield Command((*walked.rest, UNKNOWN))
        return
    text = mark.text or "{}"
    yield Command(tuple(_replaced(word, text) for word in walked.rest))


def _replaced(word: Word, mark: str) -> Word:
    return Word(word.text, "unknown", one=word.one) if mark in word.text else word


def _find(command: Command) -> Iterator[Found]:
    words = command.argv[1:]
    if any(word.kind == "unknown" and not word.one for word in words):
        raise Unreadable("the words of `find` are known only when it runs")
    at = 0
    while at < len(words):
        if words[at].literal and words[at].text in ("-exec", "-execdir", "-ok", "-okdir"):
            end = at + 1
            while end < len(words) and not _ends_exec(words, end):
                end += 1
            if end > at + 1:
                away = words[at].text.endswith("dir")
                replaced = tuple(_replaced(word, "{}") for word in words[at + 1 : end])
                yield Command(replaced, elsewhere=away)
            at = end
        at += 1


def _ends_exec(words: tuple[Word, ...], at: int) -> bool:
    return words[at].text == ";" or (words[at].text == "+" and words[at - 1].text == "{}")


def _watch(command: Command) -> Iterator[Found]:
    walked = walk(command.program, command.argv[1:], GRAMMARS["watch"])
    if walked.rest:
        yield _joined(walked.rest, "`watch` runs")


def _ssh(command: Command) -> Iterator[Found]:
    # Options may stand behind the host too.
    words = command.argv[1:]
    walked = walk("ssh", words, msgspec.structs.replace(GRAMMARS["ssh"], skip=0))
    after = walk("ssh", walked.rest[1:], msgspec.structs.replace(GRAMMARS["ssh"], skip=0))
    for option, value in (*walked.given, *after.given):
        if option in ("-o", "-F", "-P") and not re.match(
            r"(?i)(StrictHostKeyChecking|ConnectTimeout|BatchMode|User|Port|LogLevel)\b", value.text
        ):
            raise Unreadable(f"`ssh {option}` may run a command")
    if after.rest:
        yield _joined(after.rest, "`ssh` runs", elsewhere=True)


def _trap(command: Command) -> Iterator[Found]:
    words = [word for word in command.argv[1:] if word.text not in ("--", "-p", "-l")]
    if len(words) > 1 and words[0].text not in ("", "-"):
        yield _script(words[0], "`trap` runs a script")


def _sudo(command: Command) -> Iterator[Found]:
    walked = walk("sudo", command.argv[1:], GRAMMARS["sudo"])
    if walked.rest:
        yield _wrapped(command, walked)
    elif walked.value("-s", "-i", "--shell", "--login") is not None:
        raise Unreadable("`sudo` starts a shell that reads its input")


_SAFE_SETTING = re.compile(
    r"(?i)(user\.(name|email)|color\.\w+|core\.(quotepath|autocrlf|abbrev|longpaths)|advice\.\w+"
    r"|(commit|tag)\.gpgsign|init\.defaultbranch|gc\.auto|diff\.renames|log\.\w+|merge\.ff"
    r"|protocol\.version|http\.version|pull\.(rebase|ff)|push\.default)(=|$)"
)
_GIT_FLAGS = {
    *("--bare", "--no-pager", "-P", "-p", "--paginate", "--no-replace-objects", "--no-lazy-fetch"),
    *("--literal-pathspecs", "--glob-pathspecs", "--noglob-pathspecs", "--icase-pathspecs"),
    *("--no-optional-locks", "--no-advice", "--version", "--help", "-v", "-h", "--html-path"),
    *("--man-path", "--info-path", "--exec-path"),
}
_GIT_VALUES = {"-C", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--attr-source"}
_GIT_RUNS = re.compile(
    r"--(upload-pack|receive-pack|exec|extcmd|open-files-in-pager|tool|gpg-program)(=.*)?"
)


def git_subcommand(words: tuple[Word, ...]) -> int:
    """Return the index of git's subcommand among its words; their number if there is none.

    Raises:
        Unreadable: an option in front of it runs something, or is not known.
    """
    at = 0
    while at < len(words):
        text = words[at].text
        if not words[at].literal and words[at].may_be_option:
            raise Unreadable("what `git` is to do is known only when it runs")
        if not text.startswith("-"):
            return at
        name = text.partition("=")[0]
        if text in ("-c", "--config-env"):
            setting = words[at + 1].text if at + 1 < len(words) else ""
            if text != "-c" or not _SAFE_SETTING.match(setting):
                raise Unreadable(f"`git {text} {setting}` may run a command")
            at += 2
        elif text in _GIT_VALUES:
            if at + 1 < len(words) and not words[at + 1].one:
                raise Unreadable("what `git` is to do is known only when it runs")
            at += 2
        elif text in _GIT_FLAGS or ("=" in text and name in _GIT_VALUES):
            at += 1
        else:
            raise Unreadable(f"the option {text} of `git` may run a command")
    return at


def _git(command: Command) -> Iterator[Found]:
    words = command.argv[1:]
    at = git_subcommand(words)
    if at >= len(words):
        return
    verb, rest = words[at].text, words[at + 1 :]
    if verb == "rebase":
        for index, word in enumerate(rest):
            if re.match(r"-\w*x$|--exec?$", word.text) and index + 1 < len(rest):
                yield _script(rest[index + 1], "`git rebase` runs a script")
            elif re.match(r"--exec?=|-x.", word.text):
                code = word.text[2:] if word.text[1] == "x" else word.text.partition("=")[2]
                yield _script(Word(code, word.kind), "`git rebase` runs a script")
    elif verb == "bisect" and rest[:1] and rest[0].text == "run" and rest[1:]:
        yield Command(rest[1:], elsewhere=True)
    elif verb == "submodule":
        for index, word in enumerate(rest):
            if word.text == "foreach":
                tail = rest[index + 1 :]
                while tail and tail[0].text.startswith("-"):
                    tail = tail[1:]
                if tail:
                    yield _joined(tail, "`git submodule foreach` runs", elsewhere=True)
    elif verb in ("difftool", "mergetool") or any(_GIT_RUNS.fullmatch(word.text) for word in rest):
        raise Unreadable(f"`git {verb}` may run a command")
    elif verb == "grep" and any(word.text.startswith("-O") for word in rest):
        raise Unreadable("`git grep -O` runs a command")


def _command_word(command: Command) -> Iterator[Found]:
    """`command -v x` only tells; anything else runs."""
    walked = walk("command", command.argv[1:], GRAMMARS["command"])
    tells = walked.value("-v", "-V") is not None
    if walked.rest and not tells:
        yield Command(walked.rest, redirects=command.redirects)


def _launched(name: str, words: tuple[Word, ...]) -> Iterator[Found]:
    """Yield every command that the words may hold: each tail of them, and code behind -c."""
    program_known = False
    tails = 0
    for index, word in enumerate(words):
        before = words[index - 1].text if index else ""
        code = CODE_OPTIONS.fullmatch(before) or (
            name in ("vim", "nvim", "ex") and word.text[:1] == "+"
        )
        if not word.literal:
            if code or (word.kind == "unknown" and not program_known):
                raise Unreadable(f"what `{name}` runs is known only when it runs")
            continue
        option, equals, value = word.text.partition("=")
        if equals and CODE_OPTIONS.fullmatch(option):
            yield Script(value, elsewhere=True)
        if word.text.startswith("-"):
            continue
        if code or SHELL_SIGNS.search(word.text):
            yield Script(word.text.lstrip("+:!"), elsewhere=True)
            continue
        if not before.startswith("-") and index > 0:
            program_known = True
        if not re.search(r"\w$", word.text):
            continue
        if tails < TAILS_LIMIT:
            tails += 1
            yield Command(words[index:], elsewhere=True)
        else:
            raise Unreadable(f"`{name}` has too many words to tell what it runs")


TAILS_LIMIT = 40
SHELL_SIGNS = re.compile(r"[\s;&|<>(){}$`'\"\\]")
"""What makes a word of a launcher a script rather than a program."""

SPECIAL: dict[str, Callable[[Command], Iterator[Found]]] = {
    "xargs": _xargs,
    "gxargs": _xargs,
    "find": _find,
    "gfind": _find,
    "watch": _watch,
    "ssh": _ssh,
    "trap": _trap,
    "sudo": _sudo,
    "git": _git,
    "command": _command_word,
}
