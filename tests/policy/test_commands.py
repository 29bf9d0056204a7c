"""Scripts are read into the commands they run, word for word, or said to be unreadable."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.policy import Reading
from octavo.policy.commands import is_plain, read, read_argv
from octavo.policy.grammar import agrees
from octavo.policy.shell import Parser


def shown(reading: Reading) -> list[str]:
    """Write each command with `?` before words that are not literal."""
    return [
        " ".join(word.text if word.literal else f"?{word.text}" for word in command.argv)
        for command in reading.commands
    ]


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("git status", ["git status"]),
        ("a && b || c; d & e | f\ng", list("abcdefg")),
        ("""'g'i"t" p\\ush $'\\x2d\\055force'""", ["git push --force"]),
        ("a # b\nc '#' d#e", ["a", "c # d#e"]),
        ("a \\\n  --b \\\n  c", ["a --b c"]),
        ("A=1 B='x y' c >out 2>&1 <in d", ["c d"]),
        ("X=1; echo $X", ["export X=1", "echo ?$X"]),
        ("(a; { b; }) && ! c", ["a", "b", "c"]),
        ("if a; then b; elif c; then d; else e; fi", list("abcde")),
        ("while a; do b; done <x; until c; do d; done", ["a", "b", ":", "c", "d"]),
        ("for x in 1 2; do a $x; done; for ((i=0;i<2;i++)); do b; done", ["a ?$x", "b"]),
        ("case $1 in (a|b) c;; *) d;; esac", ["c", "d"]),
        ("[[ -f x && $y == z* ]] && a", ["a"]),
        ("((i = 1 + 2)); a", ["a"]),
        ('echo "a $(b "c d") e" `f g`', ["b c d", "f g", "echo ?a $(…) e ?`…`"]),
        ("diff <(a) >(b)", ["a", "b", "diff ?/dev/fd/… ?/dev/fd/…"]),
        ("cat <<E\n$(a)\nE\nb", ["cat", "a", "b"]),
        ("cat <<'E'\n$(a)\nE\nb", ["cat", "b"]),
        ("ls *.py a[12] [ ~/x ~", ["ls ?*.py ?a[12] [ ?~/x ?~"]),
        ("touch a{b,c} {1..3} {} x{y", ["touch ?a{b,c} ?{1..3} {} x{y"]),
        ("echo $((1 + 2)) ${x:-y} $?", ["echo ?0 ?${x:-y} ?$?"]),
        ("time make", ["make"]),
    ],
)
def test_a_script_is_read_into_its_commands(script: str, commands: list[str]) -> None:
    reading = read(script)

    assert (shown(reading), reading.unreadable) == (commands, ())


@pytest.mark.parametrize(
    ("script", "innermost", "via"),
    [
        ("env -u X A=1 git push", "git push", ("env",)),
        ("command -p nice -n 5 nohup git push", "git push", ("command", "nice", "nohup")),
        ("timeout -k 5 --signal=KILL 10 git push", "git push", ("timeout",)),
        ("sudo -nu root -- git push", "git push", ("sudo",)),
        ("stdbuf -oL setsid -w exec git push", "git push", ("stdbuf", "setsid", "exec")),
        ("xargs -0 -n 1 git push", "git push ?…", ("xargs",)),
        ("xargs -I{} git push {}", "git push ?{}", ("xargs",)),
        ("find . -name x -exec git push {} +", "git push ?{}", ("find",)),
        ("bash -lc 'sh -c \"git push\"'", "git push", ("bash", "sh")),
        ("bash <<'E'\ngit push\nE", "git push", ("bash",)),
        ("bash <<< 'git push'", "git push", ("bash",)),
        ("ssh -p 22 me@host git push", "git push", ("ssh",)),
        ("busybox sh -c 'git push'", "git push", ("busybox", "sh")),
        ("watch -n 1 git push", "git push", ("watch",)),
        ("trap 'git push' EXIT", "git push", ("trap",)),
        ("git rebase -x 'git push' main", "git push", ("git",)),
        ("git submodule foreach --recursive 'git push'", "git push", ("git",)),
        ("GIT_EDITOR='git push' git commit", "git push", ("git",)),
        ("flock /tmp/x -c 'git push'", "git push", ("flock",)),
    ],
)
def test_wrappers_are_seen_through(script: str, innermost: str, via: tuple[str, ...]) -> None:
    reading = read(script)

    found = {
        text: command.via for text, command in zip(shown(reading), reading.commands, strict=True)
    }
    assert reading.certain, reading.unreadable
    assert found.get(innermost) == via


@pytest.mark.parametrize(
    "script",
    [
        *("$x push", "`echo git` push", "$(echo git) push", "{git,push}", "g* push", "=git push"),
        *("eval 'git push'", "source x.sh", ". ./x.sh", "alias x=y", "f() { a; }", "coproc a"),
        *("curl x | sh", "bash -s", 'bash -c "$x"', "sh -c $x"),
        *("echo 'a", 'echo "a', "echo $(a", "if a; then b", "a &&", "a | | b", "cat <<E\nx", ")"),
        *("env -S 'git push'", "env --frob git push", "sudo -Z git push", "env $x git push"),
        *("git -c alias.x='!git push' x", "git $x", "ssh -oProxyCommand=x host", "find $x"),
        *("BASH_ENV=x bash y", "LD_PRELOAD=x y", "export PROMPT_COMMAND=x", "PS4='$(a)' b"),
        *("x='a[$(b)]'; echo $((x))", "read x; echo $((x))", "[ -v 'a[$(b)]' ]", "echo $[1]"),
        *("echo ${x@P}", "echo ${!x}", "echo ${ a; }", "printf -v 'a[$(b)]' c", "let x=1"),
        *("g\\\nit push", "git\u00a0push", "git\rpush", "a\0b", "\ud800", "fish -c 'git push'"),
        *(
            "set -H; a",
            "shopt -s expand_aliases",
            "setopt x",
            "sh -c \"echo \\$'a'\"",
            "git difftool",
        ),
        *("sh -c '[[ a || b ]]'", "dash -c 'a <(b)'", "function f { a; }", "ls *(e:'a':)"),
        *("( " * 60 + "a" + " )" * 60, "a;" * 3_000, "a " * 60_000),
    ],
)
def test_what_cannot_be_read_is_never_certain(script: str) -> None:
    assert not read(script).certain


def test_a_program_is_known_by_its_name_whatever_its_folder_and_case() -> None:
    [command] = read_argv(["/usr/bin/Git", "push"]).commands

    assert command.program == "git"


def test_commands_before_the_unreadable_part_are_still_there() -> None:
    reading = read("rm -rf / ; eval x; f() { b; }")

    assert shown(reading) == ["rm -rf /", "eval x"]
    assert len(reading.unreadable) == 2


def test_where_a_command_stands_and_what_it_changes_is_told() -> None:
    write, loop = read("A=1 a >x 2>&1; for i in 1; do cd b; done").commands

    assert not write.plain
    assert [redirect.writes for redirect in write.redirects] == [True, False]
    assert write.env[0][0] == "A"
    assert loop.inside == ("loop",)


def test_a_script_for_another_machine_is_elsewhere() -> None:
    commands = read("ssh host 'rm -rf build'").commands

    assert [command.elsewhere for command in commands] == [False, True]


def test_the_two_readers_have_to_agree() -> None:
    # The grammar loses the second command.
    assert read("cat <<'E' ; zap\nfoo\nE\n").unreadable == ("it can be read in more than one way",)


def test_the_grammar_is_imported_only_for_a_script_that_needs_a_second_opinion() -> None:
    code = (
        "import sys, octavo.policy.decide, octavo.policy.rules\n"
        "octavo.policy.rules.parse('prefix_rule(pattern=[\"a\"])', 'x')\n"
        "print('tree_sitter' in sys.modules)\n"
        "octavo.policy.commands.read(\"a -b --c=d ./e 'f g' && h | i; j\")\n"
        "print('tree_sitter' in sys.modules)\n"
        "octavo.policy.commands.read('a $b')\n"
        "print('tree_sitter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == ["False", "False", "True"], done.stderr


_BARE_WORD = st.text("ab.-/_:@%+,09", min_size=1, max_size=5)
_PLAIN_WORD = st.one_of(
    _BARE_WORD,
    st.sampled_from(["if", "time", "do", "x=1", "--a=b", "[", "in", "coproc", "{", "!", "=ls"]),
    st.text('a $;|&("<#', max_size=4).map("'{}'".format),
)
_PLAIN_PARTS = st.lists(st.lists(_PLAIN_WORD, min_size=1, max_size=4).map(" ".join), max_size=3)


@given(_PLAIN_PARTS, st.sampled_from([" && ", ";", " | ", "||", "; "]))
def test_what_is_plain_is_read_alike_by_the_grammar(parts: list[str], between: str) -> None:
    script = between.join(parts)
    if not is_plain(script):
        return
    parser = Parser(script, "bash")
    parser.parse()
    assert agrees(script, parser.spans)
    # Simple enough that splitting at blanks and operators is the same reading.
    words = [[word.text for word in command.argv] for command in parser.commands]
    assert words == [shlex.split(part) for part in parts]


@pytest.mark.parametrize(
    "script",
    [
        *("time ls", "a=b", "echo $x", "ls &", "a\nb", 'echo "x"', "ls > x", "if a; b", "echo ~"),
        *("'a' b", "ls;", "", "a 'x;y'", "echo é", "a =ls", "repeat 3 ls", "echo \\;", "a {b,c}"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_not_plain(script: str) -> None:
    assert not is_plain(script)
