"""`octavo skills`: which skills there are, and everything a person does with them."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import groupby

from octavo.cli.asking import ask
from octavo.cli.shared import columns, working_directory
from octavo.protocol.errors import UsageError
from octavo.protocol.visible import visible_command, visible_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.protocol import skills as s

EXIT_FAILED = 1
LEAST_CHARS = 30
"""How much of a description a list shows on the narrowest terminal."""
_WHOSE = {"repo": "the repository's", "user": "your own", "system": "octavo's own"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action",
        required=True,
        metavar="list | show | new | check | add | remove | accept",
        title="actions",
    )
    listing = actions.add_parser("list", help="show the skills there are, and which are used")
    show = actions.add_parser("show", help="print a skill")
    show.add_argument("name", metavar="NAME")
    for each in (listing, show):
        each.add_argument("--json", action="store_true", help="print JSON")
    new = actions.add_parser("new", help="make a skill to be filled in")
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--description",
        metavar="TEXT",
        default="Say what this does. Use when the user asks for it.",
        help="what it does and when to use it; at most 1024 characters",
    )
    check = actions.add_parser("check", help="say what is wrong with skills, and could be better")
    check.add_argument("paths", nargs="+", metavar="PATH", help="a skill's folder")
    add = actions.add_parser("add", help="copy a skill from a folder or a git repository")
    add.add_argument("source", metavar="SOURCE", help="a folder, GIT_URL or GIT_URL#SUBFOLDER")
    add.add_argument("--path", metavar="SUBFOLDER", help="where in the source the skill is")
    add.add_argument(
        "--ref", metavar="REF", help="a branch, tag or commit; else the default branch"
    )
    add.add_argument("--name", metavar="NAME", help="call it so instead of by its own name")
    remove = actions.add_parser("remove", help="delete a skill that was added")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--force", action="store_true", help="also one that has no other copy")
    accept = actions.add_parser("accept", help="see what changed in a skill, and agree to it")
    accept.add_argument("name", metavar="NAME")
    accept.add_argument("-y", "--yes", action="store_true", help="agree without being asked")
    for each in (new, add):
        where = each.add_mutually_exclusive_group()
        where.add_argument("--user", action="store_true", help="for yourself, everywhere (default)")
        where.add_argument("--project", action="store_true", help="into .agents/skills here")
    for each in (listing, show, new, add, remove, accept):
        each.add_argument("-C", "--cd", metavar="DIR", help="look from DIR instead of here")
    parser.epilog = (
        "A skill is a folder with a SKILL.md: instructions for one kind of work. Name it as $NAME\n"
        "in a message to have it used. What was added, or accepted, is used only as long as every\n"
        "byte of its folder is what you agreed to."
    )


def run(args: Namespace) -> int:
    """Do one of them, through a server as any client would."""
    cwd = None if args.action == "check" else str(working_directory(args.cd))
    match args.action:
        case "list":
            return _list(cwd, as_json=args.json)
        case "show":
            return _show(args.name, cwd, as_json=args.json)
        case "new":
            return _new(args, cwd)
        case "check":
            return _check(args.paths)
        case "add":
            return _add(args, cwd)
        case "remove":
            return _remove(args, cwd)
        case _:
            return _accept(args, cwd)


def _list(cwd: str | None, *, as_json: bool) -> int:
    from octavo.protocol import skills as s

    found = ask(lambda client: client.call(s.SKILLS_DETAILS, s.CwdParams(cwd)))
    if as_json:
        _print_json(found)
        return 0
    for problem in found.problems:
        print(problem, file=sys.stderr)
    if not found.data:
        print("There are no skills.")
    width = max((len(visible_name(one.name)) for one in found.data), default=0)
    room = max(LEAST_CHARS, columns() - width - 14)
    for (root, scope, trusted), skills in groupby(
        found.data, key=lambda one: (one.root, one.scope, one.trusted)
    ):
        mark = "" if trusted else ", not trusted"
        print(f"{visible_name(root)} ({_WHOSE[scope]}{mark})")
        for one in skills:
            pinned = "+" if one.pinned and one.state == "ok" else " "
            what = one.reason or _short(one.description, room)
            print(f"  {one.state:<8}{pinned} {visible_name(one.name):<{width}}  {what}")
    return 0


def _show(name: str, cwd: str | None, *, as_json: bool) -> int:
    from octavo.protocol import skills as s

    params = s.SkillNameParams(_absolute(name), cwd)
    found = ask(lambda client: client.call(s.SKILLS_READ, params))
    if as_json:
        _print_json(found)
        return 0
    skill = found.skill
    facts = [
        ("state", f"{skill.state}. {skill.reason}".rstrip(". ")),
        ("file", visible_name(skill.path)),
        ("whose", _WHOSE[skill.scope] + ("" if skill.trusted else ", not trusted")),
        ("from", visible_name(_origin(skill))),
        ("agreed to", f"sha256 {skill.sha256[:16]}" if skill.sha256 else ""),
        ("license", visible_name(found.license or "")),
        ("needs", visible_name(found.compatibility or "")),
        *(("", visible_name(f"{key}: {value}")) for key, value in found.metadata.items()),
        ("would allow", visible_name(" ".join(found.allowed_tools))),
        ("files", ", ".join(found.files)),
    ]
    print(visible_name(skill.name))
    for title, fact in facts:
        if fact:
            print(f"  {title:<12}{fact}")
    print(f"\n{found.text.rstrip()}")
    return 0


def _new(args: Namespace, cwd: str | None) -> int:
    from octavo.protocol import skills as s

    params = s.SkillCreateParams(args.name, args.description, _place(args), cwd)
    made = ask(lambda client: client.call(s.SKILLS_CREATE, params))
    folder = visible_name(os.path.dirname(made.path))
    print(f"Made {visible_name(made.path)}. Fill it in, then run `octavo skills check {folder}`.")
    return 0


def _check(paths: Sequence[str]) -> int:
    status = 0
    for path in paths:
        found = _checked(os.path.abspath(path))
        print(f"{visible_name(path)}: {'is no valid skill' if found.problems else 'valid'}")
        for line in (*found.problems, *found.advice):
            print(f"  {line}")
        if found.problems:
            status = EXIT_FAILED
    return status


def _checked(path: str) -> s.SkillCheckResult:
    from octavo.protocol import skills as s

    return ask(lambda client: client.call(s.SKILLS_CHECK, s.SkillCheckParams(path)))


def _add(args: Namespace, cwd: str | None) -> int:
    from octavo.protocol import skills as s

    params = s.SkillAddParams(
        source=args.source,
        path=args.path,
        ref=args.ref,
        name=args.name,
        place=_place(args),
        cwd=cwd,
    )
    added = ask(lambda client: client.call(s.SKILLS_ADD, params))
    skill = added.skill
    print(f"Added {skill.name} to {visible_name(skill.root)}")
    print(f"  {_short(skill.description)}")
    print(f"  from      {visible_name(_origin(skill))}")
    print(f"  sha256    {skill.sha256}")
    print(f"  files     {', '.join(added.files)}")
    if added.executables:
        print(f"  programs  {', '.join(added.executables)} (they run in the sandbox only)")
    if skill.state != "ok":
        print(f"It is not used: {skill.reason}", file=sys.stderr)
    return 0


def _remove(args: Namespace, cwd: str | None) -> int:
    from octavo.protocol import skills as s

    params = s.SkillRemoveParams(_absolute(args.name), args.force, cwd)
    removed = ask(lambda client: client.call(s.SKILLS_REMOVE, params))
    print(f"Removed {visible_name(removed.path)}")
    return 0


def _accept(args: Namespace, cwd: str | None) -> int:
    from octavo.protocol import skills as s

    named = s.SkillNameParams(_absolute(args.name), cwd)
    change = ask(lambda client: client.call(s.SKILLS_CHANGE, named))
    skill = change.skill
    if change.agreed:
        print(f"{skill.name} is what was agreed to: sha256 {change.sha256[:16]}")
        return 0
    place = visible_name(os.path.dirname(skill.path))
    print(f"{place} (sha256 {change.sha256[:16]}):", file=sys.stderr)
    for line in change.lines:
        print(f"    {line}", file=sys.stderr)
    if not args.yes and not _is_agreed(skill.name):
        print(f"Not accepted: {skill.name}. Nothing was changed.", file=sys.stderr)
        return EXIT_FAILED
    params = s.SkillAcceptParams(_absolute(args.name), change.sha256, cwd)
    accepted = ask(lambda client: client.call(s.SKILLS_ACCEPT, params))
    print(f"Accepted: {accepted.skill.name} (sha256 {change.sha256[:16]})")
    if accepted.skill.state != "ok":
        print(f"It is not used: {accepted.skill.reason}", file=sys.stderr)
    return 0


def _is_agreed(name: str) -> bool:
    if not sys.stdin.isatty():
        print("Run this on a terminal, or with -y to agree.", file=sys.stderr)
        return False
    print(f"Use {name} as it is now? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _place(args: Namespace) -> s.Place:
    return "project" if args.project else "user"


def _absolute(name: str) -> str:
    """Return a path as the server finds it; a name as it is."""
    if not name:
        raise UsageError("The name is empty.", hint="`octavo skills list` shows the names.")
    return os.path.abspath(name) if "/" in name else name


def _origin(skill: s.SkillInfo) -> str:
    if not skill.source:
        return ""
    words = [skill.source]
    words += [f"({skill.source_path})"] if skill.source_path else []
    words += [f"at commit {skill.commit}"] if skill.commit else []
    words += [f"({skill.ref})"] if skill.ref else []
    words += ["and changed since"] if skill.edited else []
    return " ".join(words)


def _short(text: str, chars: int = 100) -> str:
    text = visible_command(" ".join(text.split()))
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
