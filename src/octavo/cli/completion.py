"""`octavo completion`: scripts for shells, made from the commands' own arguments.

Nothing here lists an option: a script is what the parsers say at the moment it is made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec

from octavo.cli import commands, load_command
from octavo.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")

_WHERE = {
    "bash": 'eval "$(octavo completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(octavo completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "octavo completion fish | source  # in ~/.config/fish/config.fish",
}


class Option(msgspec.Struct, frozen=True):
    """One option with all its spellings."""

    names: tuple[str, ...]
    about: str
    takes_value: bool
    choices: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """What can follow the words of `path`."""

    path: tuple[str, ...]
    options: tuple[Option, ...]
    words: dict[str, str]
    """Subcommands, and values of arguments that have a fixed set, with what they are."""
    deeper: frozenset[str]
    """Those of `words` that are subcommands."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell the script is for")
    parser.epilog = "Put one of these into your shell's start-up file:\n  " + "\n  ".join(
        _WHERE.values()
    )


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    makers = {"bash": bash, "zsh": zsh, "fish": fish}
    print(makers[args.shell](nodes()), end="")
    return 0


def nodes() -> list[Node]:
    """Return every command and subcommand, the program itself first."""
    names = commands()
    top = (
        Option(("--help", "-h"), "show the help", takes_value=False),
        Option(("--version", "-V"), "show the version", takes_value=False),
    )
    found = [Node((), top, {**names, "help": "Show the help"}, frozenset(names))]
    for name in names:
        parser = Parser(prog=f"octavo {name}", description=names[name])
        load_command(name).add_arguments(parser)
        found += _walk(parser, (name,))
    return found


def _walk(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[Node]:
    options: list[Option] = []
    words: dict[str, str] = {}
    inside: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse has no public way to list them
        about = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
        if action.option_strings and action.help != argparse.SUPPRESS:
            choices = tuple(map(str, action.choices or ()))
            takes_value = action.nargs != 0
            options.append(Option(tuple(action.option_strings), about, takes_value, choices))
        elif isinstance(action, argparse._SubParsersAction):
            inside.update(action.choices)
            # Each subcommand's one line of help is kept in a pseudo-action.
            words.update({pseudo.dest: pseudo.help or "" for pseudo in action._choices_actions})
        elif not action.option_strings:
            words.update(dict.fromkeys(map(str, action.choices or ()), about))
    yield Node(path, tuple(options), words, frozenset(inside))
    for name in words:
        if name in inside:
            yield from _walk(inside[name], (*path, name))


def bash(tree: list[Node]) -> str:
    """Return a bash script; where nothing of octavo's fits, bash completes file names."""
    return f"""\
_octavo() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at= words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in
            {_steps(tree)}) at="$at ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$at $prev" in
{_value_cases(tree, '            {pattern}) words="{words}" ;;')}
    esac
    if [[ -z $words ]]; then
        case "$at:$cur" in
{_word_cases(tree, '            "{at}:{begin}"*) words="{words}" ;;')}
        esac
    fi
    [[ $words == - ]] && words=
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _octavo octavo
"""


def zsh(tree: list[Node]) -> str:
    """Return a zsh script; where nothing of octavo's fits, zsh completes file names."""
    return f"""\
#compdef octavo
_octavo() {{
    local cur=${{words[CURRENT]}} prev=${{words[CURRENT-1]}} at= given= word
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "$at $word" in
            {_steps(tree)}) at="$at $word" ;;
        esac
    done
    case "$at $prev" in
{_value_cases(tree, '        {pattern}) given="{words}" ;;')}
    esac
    if [[ -z $given ]]; then
        case "$at:$cur" in
{_word_cases(tree, '            "{at}:{begin}"*) given="{words}" ;;')}
        esac
    fi
    [[ $given == - ]] && given=
    compadd -- ${{=given}} || _files
}}
if [[ $funcstack[1] == _octavo ]]; then _octavo "$@"; else compdef _octavo octavo; fi
"""


def fish(tree: list[Node]) -> str:
    """Return a fish script."""
    lines: list[str] = []
    for node in tree:
        when = _fish_condition(node)
        for word, about in node.words.items():
            lines.append(f"complete -c octavo -f -n {when} -a {_fish(word)} -d {_fish(about)}")
        for option in node.options:
            parts = [f"complete -c octavo -n {when}"]
            parts += [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
            if option.takes_value:
                parts.append(f"-x -a {_fish(' '.join(option.choices))}" if option.choices else "-r")
            lines.append(" ".join([*parts, "-d", _fish(option.about)]))
    return "\n".join(lines) + "\n"


def _fish_condition(node: Node) -> str:
    if not node.path:
        return "__fish_use_subcommand"
    seen = [f"__fish_seen_subcommand_from {word}" for word in node.path]
    if node.deeper:
        seen.append(f"not __fish_seen_subcommand_from {' '.join(sorted(node.deeper))}")
    return _fish("; and ".join(seen))


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _steps(tree: list[Node]) -> str:
    """The patterns of "place so far, next word" that lead one step deeper."""
    steps = [f'"{_at(node.path[:-1])} {node.path[-1]}"' for node in tree if node.path]
    return "|".join(steps)


def _at(path: tuple[str, ...]) -> str:
    return "".join(f" {word}" for word in path)


def _value_cases(tree: list[Node], case: str) -> str:
    """One case for each option that takes a value; `-` stands for a file name or free text."""
    lines = []
    for node in tree:
        for option in node.options:
            if option.takes_value:
                pattern = "|".join(f'"{_at(node.path)} {name}"' for name in option.names)
                words = " ".join(option.choices) or "-"
                lines.append(case.format(pattern=pattern, words=words))
    return "\n".join(lines)


def _word_cases(tree: list[Node], case: str) -> str:
    """Two cases for each place: options once a dash is typed, else what else can stand there."""
    lines = []
    for node in tree:
        options = " ".join(name for option in node.options for name in option.names)
        lines.append(case.format(at=_at(node.path), begin="-", words=options))
        lines.append(case.format(at=_at(node.path), begin="", words=" ".join(node.words)))
    return "\n".join(lines)
