"""The Seatbelt profile of a policy, read back as the s-expressions it is.

It is evaluated here by the few rules of the language that it uses; it has not been run on macOS.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.protocol.errors import SandboxError
from octavo.sandbox import OPEN, Mode, Network, Policy
from octavo.sandbox.policy import PROTECTED_NAMES
from octavo.sandbox.seatbelt import PROGRAM, Profile, profile
from tests.sampling import sample

Expression = str | list["Expression"]
TOKEN = re.compile(r'\s*(?:(\()|(\))|(#?"(?:[^"\\]|\\.)*")|([^\s()"]+))', re.DOTALL)


def parse(text: str) -> list[Expression]:
    """Read a profile; a string keeps its opening quote, so that it is told from a word."""
    stack: list[list[Expression]] = [[]]
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        assert found is not None, text[at : at + 40]
        at = found.end()
        opening, closing, string, word = found.groups()
        if opening:
            stack.append([])
        elif closing:
            done = stack.pop()
            stack[-1].append(done)
        elif string:
            raw = string.startswith("#")
            inner = string[2:-1] if raw else re.sub(r"\\(.)", r"\1", string[1:-1], flags=re.DOTALL)
            stack[-1].append('"' + inner)
        else:
            stack[-1].append(word)
    assert len(stack) == 1, "unbalanced"
    return stack[0]


def matches(what: Expression, path: str, parameters: dict[str, str]) -> bool:
    """Whether a filter holds for a path."""
    assert isinstance(what, list)
    kind, *rest = what
    if kind == "require-all":
        return all(matches(part, path, parameters) for part in rest)
    if kind == "require-not":
        return not matches(rest[0], path, parameters)
    value = rest[0]
    if isinstance(value, list):
        assert value[0] == "param"
        assert isinstance(value[1], str)
        text = parameters[value[1][1:]]
    else:
        text = value[1:]
    if kind == "literal":
        return path == text
    if kind == "subpath":
        return path == text or path.startswith(text.rstrip("/") + "/")
    if kind == "regex":
        return re.search(text, path) is not None
    return False


def allowed(made: Profile, operation: str, path: str) -> bool:
    """What the profile decides: the last rule that speaks of it, and no where none does."""
    verdict = False
    for rule in parse(made.text)[1:]:
        assert isinstance(rule, list)
        word, *rest = rule
        names = [part for part in rest if isinstance(part, str)]
        filters = [part for part in rest if isinstance(part, list)]
        hit = any(
            name == operation or name == "default" or
            (name.endswith("*") and operation.startswith(name[:-1]))
            for name in names
        )  # fmt: skip
        if hit and (not filters or any(matches(f, path, made.parameters) for f in filters)):
            verdict = word == "allow"
    return verdict


def make(cwd: Path | str = "/Users/ada/mill", **changes: object) -> Profile:
    policy = Policy(Mode.WORKSPACE_WRITE, Path(cwd))
    return profile(msgspec.structs.replace(policy, **changes))


def writes(made: Profile, path: str) -> bool:
    return allowed(made, "file-write-data", path)


def test_what_is_not_allowed_is_denied() -> None:
    made = make()

    assert parse(made.text)[:2] == [["version", "1"], ["deny", "default"]]
    assert not writes(made, "/Users/ada/other")
    assert not writes(made, "/Users/ada/mill-evil/x")
    assert not writes(made, "/etc/hosts")
    assert not allowed(made, "system-socket", "")
    assert not allowed(made, "iokit-open", "")


def test_the_workspace_and_tmp_are_written_where_macos_has_them() -> None:
    made = make()

    assert writes(made, "/Users/ada/mill/src/a.py")
    assert writes(made, "/private/tmp/x")
    assert not writes(made, "/tmp/x")
    assert made.parameters["ROOT_1"] == "/private/tmp"


def test_the_root_itself_cannot_be_replaced() -> None:
    assert not allowed(make(), "file-write-unlink", "/Users/ada/mill")


@pytest.mark.parametrize("name", PROTECTED_NAMES)
def test_protected_names_are_not_written_also_when_missing_and_in_any_case(name: str) -> None:
    made = make()
    for written in (name, name.upper(), name.title()):
        for below in ("", "/x", "/x/y"):
            assert not writes(made, f"/Users/ada/mill/{written}{below}"), (written, below)
            assert not writes(made, f"/private/tmp/{written}{below}")
    assert writes(made, f"/Users/ada/mill/{name}x")
    assert writes(made, f"/Users/ada/mill/{name[1:]}")


@pytest.mark.parametrize("path", ["config", "hooks", "hooks/pre-commit", "CONFIG"])
def test_settings_and_hooks_of_nested_repositories_are_not_written(path: str) -> None:
    made = make()

    assert not writes(made, f"/Users/ada/mill/a/b/.git/{path}")
    assert not writes(made, f"/Users/ada/mill/a/.GIT/{path}")
    assert writes(made, "/Users/ada/mill/a/.git/index")


def test_read_only_mode_writes_nothing() -> None:
    made = make(mode=Mode.READ_ONLY)

    assert not writes(made, "/Users/ada/mill/x")
    assert not writes(made, "/private/tmp/x")
    assert allowed(made, "file-read-data", "/Users/ada/mill/x")


def test_what_a_person_opened_is_written_and_what_is_read_only_is_not() -> None:
    made = make(
        writable_roots=(Path("/Users/ada/mill/.git"),), read_only=(Path("/Users/ada/mill/vendor"),)
    )

    assert writes(made, "/Users/ada/mill/.git/index")
    assert not writes(made, "/Users/ada/mill/.vscode/x")
    assert not writes(made, "/Users/ada/mill/vendor/x")


def test_secrets_are_neither_read_nor_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/Users/ada")
    made = make(deny_read=(Path("/Users/ada/mill/.env"),))

    for path in (
        "/Users/ada/.ssh/id_rsa", "/Users/ada/.ssh", "/Users/ada/.aws/credentials",
        "/Users/ada/mill/.env", "/private/etc/sudoers",
    ):  # fmt: skip
        assert not allowed(made, "file-read-data", path), path
        assert not allowed(made, "file-read-metadata", path), path
        assert not writes(made, path)
    assert allowed(made, "file-read-data", "/Users/ada/.sshx")
    assert allowed(made, "file-read-data", "/usr/lib/x")


def _network(made: Profile) -> list[Expression]:
    return [rule for rule in parse(made.text) if any("network" in str(part) for part in rule[1:2])]


def test_the_network_is_off_the_proxy_alone_or_open() -> None:
    hosts = Policy(Mode.WORKSPACE_WRITE, Path("/w"), network=Network("hosts", ("pypi.org",)))

    assert _network(make()) == []
    assert _network(profile(hosts)) == []
    assert _network(profile(hosts, proxy_port=3128)) == [
        ["allow", "network-outbound", ["remote", "ip", '"localhost:3128']]
    ]
    assert ["allow", "network-outbound", ["remote", "ip", '"*:*']] in _network(make(network=OPEN))
    with pytest.raises(SandboxError):
        profile(hosts, proxy_port=0)


def test_a_unix_socket_is_reached_only_when_it_is_named() -> None:
    made = make(sockets=(Path("/Users/ada/agent.sock"),))

    assert allowed(made, "network-outbound", "/Users/ada/agent.sock")
    assert not allowed(made, "network-outbound", "/private/var/run/docker.sock")


def test_only_named_programs_are_executed() -> None:
    made = make(programs=(Path("/usr/lib/git-core"),))

    assert allowed(made, "process-exec", "/usr/lib/git-core/git")
    assert not allowed(made, "process-exec", "/bin/sh")
    assert allowed(make(), "process-exec", "/bin/sh")


def test_signals_go_to_the_same_sandbox_only() -> None:
    assert ["allow", "signal", ["target", "same-sandbox"]] in parse(make().text)


HOSTILE = (
    '/w/a"b', "/w/(allow default)", '/w/")(allow file-write* (subpath "/"))("', "/w/a\\",
    "/w/a.b+c",    "/w/$(x)", "/w/[a-z]*", "/w/é ü", "/w/;comment", "/w/a=b", "/w/-DX=x",
)  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_name_is_only_a_name(path: str) -> None:
    made, plain = make(path), make("/w/plain")

    assert len(parse(made.text)) == len(parse(plain.text))
    assert writes(made, f"{path}/x")
    assert not writes(made, f"{path}/.git/config")
    assert not writes(made, f"{path}/a/.git/hooks/x")
    assert not writes(made, "/w/x")
    assert not writes(made, "/x")
    assert f"-DROOT_0={path}" in made.argv(("true",))


@pytest.mark.parametrize("path", ["/w/a\nb", "/w/\x1b[0m", "/w/\x7f"])
def test_control_characters_are_refused(path: str) -> None:
    with pytest.raises(SandboxError):
        make(path)


NAMES = st.characters(
    min_codepoint=0x20, blacklist_characters="/\x7f", blacklist_categories=("Cs", "Cc")
)


@settings(max_examples=sample(2000, 10))
@given(st.text(NAMES, min_size=1, max_size=20))
def test_no_name_of_a_workspace_changes_the_rules(name: str) -> None:
    made = make(f"/w/x{name}")

    assert len(parse(made.text)) == len(parse(make("/w/plain").text))
    assert writes(made, f"/w/x{name}/y")
    assert not writes(made, f"/w/x{name}/.git")
    assert not writes(made, "/w/other")


def test_the_program_is_the_systems_and_the_command_stands_apart() -> None:
    argv = make().argv(("echo", "-D", "x"))

    assert argv[0] == PROGRAM
    assert argv[-4:] == ("--", "echo", "-D", "x")
    assert subprocess.list2cmdline(argv)


def test_what_a_profile_cannot_say_is_refused() -> None:
    for changes in (
        {"mode": Mode.DANGER_FULL_ACCESS},
        {"mode": Mode.EXTERNAL},
        {"tmp": "private"},
        {"writable_roots": (Path("/"),)},
    ):
        with pytest.raises(SandboxError):
            make(**changes)
