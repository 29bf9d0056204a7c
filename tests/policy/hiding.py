"""Ways to hide a command from a reader that bash would still run.

`hide(random, argv)` writes a script that runs `argv`, most of the time: a grammar of quoting,
expansion, compounds, wrappers and scripts in scripts, applied to each other at random.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from random import Random

PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:")


def hide(random: Random, argv: list[str], *, portable: bool = False) -> str:
    """Return a script; with `portable` only of what is on every machine."""
    script = command(random, argv)
    layers = SHAPES + ([] if portable else WRAPPERS)
    for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4))):
        if len(script) > 4_000:
            break
        script = random.choice(layers)(random, script)
    return script


def mangle(random: Random, script: str) -> str:
    """Return a script with a few characters changed, as likely as not still one that runs."""
    text = list(script)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(text) + 1)
        match random.randrange(3):
            case 0 if text:
                del text[min(at, len(text) - 1)]
            case 1:
                text.insert(at, random.choice(" \t\n;&|()<>\"'`$\\{}#!*?[]~=,-0a\r\f\v\u00a0"))
            case _:
                other = random.randrange(len(text) + 1)
                part = text[min(at, other) : max(at, other)][:8]
                text[at:at] = part
    return "".join(text)


# ---- Words ---------------------------------------------------------------------------------


def quoted(random: Random, word: str) -> str:
    """Write one word in any of the ways that decode to it."""
    style = random.randrange(8)
    if style == 0:
        return shlex.quote(word)
    if style == 1:
        return '"' + "".join("\\" + c if c in '$`"\\' else c for c in word) + '"'
    if style == 2:
        return "$'" + "".join(_escaped(random, char) for char in word) + "'"
    if style == 3 and set(word) <= PLAIN:
        return word
    return "".join(_piece(random, char) for char in word) or "''"


def _piece(random: Random, char: str) -> str:
    ways = [
        f"'{char}'" if char != "'" else "\\'",
        f'"{char}"' if char not in '"$`\\' else "\\" + char,
    ]
    if char != "\n":
        ways.append("\\" + char)
    if char in PLAIN and char != "=":
        ways += [char] * 6
    ways += [f"$'{_escaped(random, char)}'"]
    way = random.choice(ways)
    before = random.choice(("''", '""', "${none}", "\\\n")) if random.random() < 0.04 else ""
    return before + way


def _escaped(random: Random, char: str) -> str:
    code = ord(char)
    ways = [f"\\x{code:02x}", f"\\{code:03o}"]
    if char not in "'\\":
        ways += [char] * 3
    return random.choice(ways)


def blank(random: Random) -> str:
    """Write what stands between two words."""
    return random.choice((" ", " ", " ", "  ", "\t", " \\\n", " \\\n  "))


def command(random: Random, argv: list[str]) -> str:
    """Write one simple command."""
    style = random.randrange(24)
    plain = shlex.join(argv)
    if style == 0:
        return f"x={quoted(random, argv[0])}; $x {shlex.join(argv[1:])}"
    if style == 1 and len(argv) > 1:
        return f"x={quoted(random, argv[-1])}; {shlex.join(argv[:-1])} $x"
    if style == 2:
        return "{" + ",".join(argv) + "}"
    if style == 3:
        return f"$(echo {shlex.quote(plain)})"
    if style == 4:
        return f"`echo {argv[0]}` {shlex.join(argv[1:])}"
    if style == 5:
        return f'x=({plain}); "${{x[@]}}"'
    if style == 6:
        return f'set -- {plain}; "$@"'
    words = [quoted(random, word) for word in argv]
    if random.random() < 0.3:
        words.insert(random.randrange(len(words) + 1), random.choice((">/dev/null", "2>&1", "<&-")))
    if random.random() < 0.2:
        words.insert(0, random.choice(("A=1", "A=$(true)", "A='x y'", "A= ")))
    return blank(random).join(words) + random.choice(("", "", " ", " # so", ";", " &\nwait", "\n"))


# ---- Shapes of bash ------------------------------------------------------------------------

Layer = Callable[[Random, str], str]


def _around(before: str, after: str) -> Layer:
    return lambda _, script: f"{before}{script}{after}"


def _quoted(before: str, after: str = "") -> Layer:
    """Hand the script over as one word."""
    return lambda random, script: before + _as_word(random, script) + after


def _as_word(random: Random, script: str) -> str:
    if len(script) > 300 or random.random() < 0.7:
        return shlex.quote(script)
    return quoted(random, script)


def _here(random: Random, script: str) -> str:
    shell = random.choice(("bash", "bash -s", "bash -"))
    if random.random() < 0.5:
        return f"{shell} <<'END'\n{script}\nEND\n"
    return f"{shell} <<< {_as_word(random, script)}"


def _encoded(random: Random, script: str) -> str:
    code = base64.b64encode(script.encode()).decode()
    return random.choice(
        (
            f"echo {code} | base64 -d | bash",
            f'eval "$(echo {code} | base64 -d)"',
            f"bash <(echo {code} | base64 -d)",
            f'bash -c "$(base64 -d <<< {code})"',
            f'source /dev/stdin <<< "$(echo {code} | base64 -d)"',
        )
    )


SHAPES: list[Layer] = [
    _around("true; ", ""),
    _around("true && ", ""),
    _around("false || ", ""),
    _around("true | ", ""),
    _around("", "\ntrue"),
    _around("( ", "\n)"),
    _around("{ ", "\n}"),
    _around("if true; then ", "\nfi"),
    _around("if ", "\nthen true; fi"),
    _around("if false; then :; else ", "\nfi"),
    _around("if false; then :; elif ", "\nthen :; fi"),
    _around("for i in 1; do ", "\ndone"),
    _around("for ((i=0; i<1; i++)); do ", "\ndone"),
    _around("while true; do ", "\nbreak; done"),
    _around("until ", "\ntrue; do break; done"),
    _around("case x in x) ", "\n;; esac"),
    _around("case x in y) :;; *) ", "\nesac"),
    _around("case $(", "\n) in *) :; esac"),
    _around("echo $(", "\n)"),
    _around('echo "a $(', '\n) b"'),
    _around("x=$(", "\n)"),
    _around('x="$(', '\n)" true'),
    _around("x=($(", "\n))"),
    _around("cat <(", "\n)"),
    _around("true > >(", "\n)"),
    _around("echo ${x:-$(", "\n)}"),
    _around('echo "${x:=$(', '\n)}"'),
    _around("echo $((1 + $(", "\n) + 1))"),
    _around("(( $(", "\n) + 1 ))"),
    _around("[[ -n $(", "\n) ]]"),
    _around("[[ x == y || -n $(", "\n) ]]"),
    _around('[ -n "$(', '\n)" ]'),
    _around("for i in $(", "\n); do :; done"),
    _around("cat <<END\n$(", "\n)\nEND\n"),
    _around("cat <<-END\n\t$(", "\n)\n\tEND\n"),
    _around("cat <<'E' ; ", "\nfoo\nE\n"),
    _around("cat <<E | ( ", "\n)\ntext\nE\n"),
    _around("f() { ", "\n}; f"),
    _around("function f { ", "\n}\nf"),
    _around("! ", ""),
    _around("time ", ""),
    _around("coproc ", "\nwait"),
    _around("set -e\n", ""),
    _around("# nothing\\\n", ""),
    _around("echo '#' # '\n", ""),
    _around("echo a\\\\\n", ""),
    _around("echo \"it's\" 'a \"b' $'don\\'t'\n", ""),
    _around("echo x >&2 2>/dev/null; ", ""),
    _around("echo *.nothing ~ {a,b}; ", ""),
    _around("echo 'a\nb' \"c\nd\" && ", ""),
    _quoted("bash -c "),
    _quoted("bash -c ", " name arg"),
    _quoted("bash -ec "),
    _quoted("bash --norc -c "),
    _quoted("bash +x -c "),
    _quoted("bash -O extglob -c "),
    _quoted("sh -c "),
    _quoted("eval "),
    _quoted("eval -- "),
    _quoted("trap ", " EXIT"),
    _quoted("x=", '; eval "$x"'),
    _quoted("x=", '; bash -c "$x"'),
    _quoted("env bash -c "),
    _quoted("env -u X A=1 bash -c "),
    _quoted("exec bash -c "),
    _quoted("command bash -c "),
    _quoted("builtin eval "),
    _quoted("nice -n 1 bash -c "),
    _quoted("timeout 5 bash -c "),
    _quoted("timeout -k 1 5s bash -c "),
    _quoted("xargs -I% bash -c ", " <<< x"),
    _quoted("echo x | xargs bash -c "),
    _quoted("find . -maxdepth 0 -exec bash -c ", " \\;"),
    _quoted("find . -maxdepth 0 -exec bash -c ", " {} +"),
    _quoted("printf %s ", " | bash"),
    _quoted("nohup bash -c ", " 2>/dev/null"),
    _quoted("setsid -w bash -c "),
    _quoted("stdbuf -oL bash -c "),
    lambda _, script: "`" + script.replace("\\", "\\\\").replace("`", "\\`") + "\n`",
    lambda _, script: f"x='a[$({script.replace(chr(39), chr(39) * 2)}\n)]'; echo $((x))",
    lambda _, script: f"PS4={shlex.quote(f'$({script})')} bash -xc true",
    _here,
    _encoded,
]

WRAPPERS: list[Layer] = [
    _quoted("sudo sh -c "),
    _quoted("sudo -u root -E A=1 -- bash -c "),
    _quoted("sudo -nu root env bash -lc "),
    _quoted("doas -u root sh -c "),
    _quoted("busybox sh -c "),
    _quoted("busybox timeout 5 sh -c "),
    _quoted("su root -c "),
    _quoted("su - root --command="),
    _quoted("ssh host "),
    _quoted("ssh -p 22 -o BatchMode=yes me@host "),
    _quoted("ssh -oProxyCommand=", " host"),
    _quoted("watch -n 1 "),
    _quoted("parallel ", " ::: 1"),
    _quoted("script -qc ", " /dev/null"),
    _quoted("flock /tmp/x -c "),
    _quoted("strace -f -o log bash -c "),
    _quoted("unshare -r sh -c "),
    _quoted("chroot /x sh -c "),
    _quoted("zsh -c "),
    _quoted("dash -c "),
    _quoted("fish -c "),
    _quoted("git -c alias.x=!", " x"),
    _quoted("git rebase -x ", " main"),
    _quoted("git rebase --exec=", " main"),
    _quoted("git submodule foreach "),
    _quoted("git bisect run sh -c "),
    _quoted("GIT_SSH_COMMAND=", " git fetch"),
    _quoted("GIT_EDITOR=", " git commit"),
    _quoted("BASH_ENV=", " bash x.sh"),
    _quoted("env EDITOR=", " git commit"),
    _quoted("export PAGER=", "; git log"),
    _quoted("PROMPT_COMMAND=", " bash -i"),
    _quoted("alias x=", "\nx"),
    _quoted("docker run -it x sh -c "),
    _quoted("kubectl exec pod -- sh -c "),
    _quoted("npx -c "),
    _quoted("uv run bash -c "),
    _quoted("time -p bash -c "),
    _quoted("\\time -f x bash -c "),
    _quoted("/usr/bin/env -i bash -c "),
    _quoted("env -S "),
    _quoted("vim -c "),
    _quoted("tmux new-session "),
    _quoted("noglob bash -c "),
]
