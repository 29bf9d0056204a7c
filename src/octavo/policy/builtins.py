"""What a shell's own commands do to the reading of a script: some make the rest unknowable."""

from __future__ import annotations

import re

from octavo.policy import Command, Word

CODE = {
    "eval",
    "source",
    ".",
    "alias",
    "unalias",
    "enable",
    "bind",
    "complete",
    "compgen",
    "fc",
} | {
    *("coproc", "let", "autoload", "zmodload", "zle", "emulate", "history", "hash", "disable"),
    *("sched", "zstyle", "vared", "print", "functions", "unfunction", "unhash", "bindkey"),
}
"""Builtins that run words as code, or change what a name means."""

ACTIVATION = re.compile(r"(?:[\w.~-]*/)*[\w.-]*env[\w.-]*/bin/activate")
"""What a virtual environment's own script does is known."""

OPTIONS_OF_SET = re.compile(r"[-+][abefhmnuvxCET]*o?|--|errexit|nounset|pipefail|xtrace|noglob")
SHELL_OPTIONS = {
    "-s",
    "-u",
    "-q",
    "nullglob",
    "globstar",
    "failglob",
    "inherit_errexit",
    "lastpipe",
}
NAMING = {"read", "unset", "printf", "mapfile", "readarray", "getopts", "wait", "test", "["} | {
    *("declare", "typeset", "local", "export", "readonly"),
}
"""Builtins that take the name of a variable, in which a subscript would be calculated."""

LOADING = {"BASH_ENV", "ENV", "PS4", "PS0", "PS1", "PS2", "PROMPT_COMMAND", "SHELLOPTS"} | {
    *("BASHOPTS", "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"),
    *("ZDOTDIR", "FPATH", "GIT_EXEC_PATH", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG", "GIT_TEMPLATE_DIR"),
}
"""Variables that make other programs run code from elsewhere."""

RUNNING = {"EDITOR", "VISUAL", "PAGER", "BROWSER", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR"} | {
    *("GIT_PAGER", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS"),
    *("SSH_ASKPASS", "GIT_PROXY_COMMAND", "MANPAGER", "LESSOPEN", "LESSCLOSE", "SYSTEMD_PAGER"),
    *("RSYNC_RSH", "GIT_SSH_VARIANT", "SUDO_ASKPASS", "SHELL"),
}
"""Variables that hold a command other programs run."""


def why_unreadable(command: Command) -> str:
    """Return why nobody can tell what a command runs; empty when somebody can."""
    program = command.argv[0]
    if program.kind not in ("literal", "home"):
        return f"which program `{command}` runs is known only when it runs"
    if not program.text.strip() or program.text.endswith("/"):
        return "a command has no name"
    name = program.text
    words = command.argv[1:]
    for variable, _ in assigned(command):
        if variable in LOADING or variable.startswith("BASH_FUNC_"):
            return f"{variable} makes programs run code from elsewhere"
    if name in ("source", ".") and len(words) == 1 and ACTIVATION.fullmatch(words[0].text):
        return "" if words[0].kind in ("literal", "home") else f"`{name}` runs words as code"
    if name in CODE and not (name == "hash" and all(word.literal for word in words)):
        return f"`{name}` runs words as code or changes what a name means"
    return _of_builtin(name, words)


def _of_builtin(name: str, words: tuple[Word, ...]) -> str:
    if name in ("set", "setopt", "unsetopt"):
        known = name == "set" and all(
            word.literal and OPTIONS_OF_SET.fullmatch(word.text) for word in _before_dashes(words)
        )
        return "" if known else f"`{name}` changes how the rest is read"
    if name == "shopt":
        known = all(word.literal and word.text in SHELL_OPTIONS for word in words)
        return "" if known else "`shopt` changes how the rest is read"
    if name in ("mapfile", "readarray") and any(re.match(r"-\w*C", one.text) for one in words):
        return f"`{name} -C` runs a command"
    if name in NAMING:
        return _of_naming(name, words)
    return ""


def _before_dashes(words: tuple[Word, ...]) -> tuple[Word, ...]:
    for index, word in enumerate(words):
        if word.text == "--" and word.literal:
            return words[:index]
    return words


def _of_naming(name: str, words: tuple[Word, ...]) -> str:
    hidden = f"`{name}` may calculate with a value that is known only when it runs"
    for index, word in enumerate(words):
        if "[" in word.text[:-1] and ("$(" in word.text or "`" in word.text):
            return hidden
        before = words[index - 1].text if index else ""
        if before == "-v" and (not word.literal or "[" in word.text):
            return hidden
        if word.literal:
            continue
        if name in ("test", "["):
            if not word.one and len(words) <= 3 and word.kind == "unknown" and index == 0:
                return ""
            continue
        if name == "printf" and index > 0:
            continue
        if not re.match(r"[A-Za-z_]\w*=", word.text):
            return hidden
    declaring = name in ("declare", "typeset", "local", "export", "readonly")
    if declaring and any(re.match(r"-\w*[inaA]", word.text) for word in words):
        return hidden
    return ""


def assigned(command: Command) -> list[tuple[str, Word]]:
    """Return the variables a command sets for itself or for what follows."""
    found = list(command.env)
    if command.argv[0].text in ("export", "declare", "typeset", "local", "readonly", "env"):
        for word in command.argv[1:]:
            match = re.match(r"([A-Za-z_]\w*)\+?=", word.text)
            if match:
                found.append((match[1], Word(word.text[match.end() :], word.kind, word.one)))
            elif command.program == "env" and not word.text.startswith("-"):
                break
    return found
