"""Checks that what the documents say is there: links, targets, commands, files, decisions.

Not a judge of prose. It also keeps out what must not be published: paths of the machine a document
was written on, and the hosts packages were fetched from.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OCTAVO = ROOT / ".venv/bin/octavo"

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
MAKE = re.compile(r"(?:^|[\s;&|(])make (?:-\w+ )*((?:[a-z][a-z-]*(?: |$))+)", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[\s;&|(/])octavo ([a-z][a-z-]+)\b", re.MULTILINE)
FILE = re.compile(r"^(?:src|tests|tools|docs|bench|requirements|\.ci)/[\w./-]+$")
REGISTRY = re.compile(r"\b(?:files\.)?py(?:pi|thonhosted)\.org\b|\bregistry\.(?:npmjs|yarnpkg)\.")
COMMON = {"/", "/tmp", "/home", "/root", "/usr", "/opt", "/srv", "/var", "/var/tmp", "/mnt"}
NEEDED = (
    *("README.md", "ARCHITECTURE.md", "AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("CHANGELOG.md", "LICENSE", "docs/adr/README.md", "docs/adr/0000-template.md"),
)


def tracked() -> list[Path]:
    """Return the files git knows or would add; every file where there is no git."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        return [
            path for name in done.stdout.decode().split("\0") if (path := ROOT / name).is_file()
        ]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not path.relative_to(ROOT).parts[0].startswith((".venv", ".git"))
    ]


def anchors(document: Path) -> set[str]:
    """Return the anchors a reader's browser makes of a document's headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.*)$", FENCE.sub("", document.read_text()), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken_links(document: Path) -> Iterator[str]:
    """Yield what a document links to that is not there. Other sites are not asked."""
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", document.read_text()))):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (document.parent / name).resolve() if name else document
        if not place.exists():
            yield f"links to {target}, which does not exist"
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            yield f"links to {target}, but there is no such heading"


def code_of(document: Path) -> str:
    """Return what a document sets as code, a line each."""
    text = document.read_text()
    return "\n".join([*FENCE.findall(text), *CODE.findall(FENCE.sub("", text))])


def unknown_names(document: Path, targets: set[str], commands: set[str]) -> Iterator[str]:
    """Yield the make targets, octavo commands and files a document names that do not exist."""
    code = code_of(document)
    for match in MAKE.finditer(code):
        for target in set(match[1].split()) - targets:
            yield f"names `make {target}`, which the Makefile does not have"
    for name in sorted(set(COMMAND.findall(code)) - commands):
        yield f"names `octavo {name}`, which `octavo --help` does not"
    for name in CODE.findall(FENCE.sub("", document.read_text())):
        if FILE.match(name) and not (ROOT / name).exists():
            yield f"names {name}, which does not exist"


def octavo_commands() -> set[str]:
    """Return the commands that `octavo --help` lists; empty if it does not work."""
    if not OCTAVO.exists():
        return set()
    done = subprocess.run([OCTAVO, "--help"], capture_output=True, text=True, check=False)
    listed = re.findall(r"^  ([a-z][a-z-]+) {2,}\S", done.stdout, re.MULTILINE)
    return {"help", *listed} if listed else set()


def missing_decisions() -> Iterator[str]:
    """Yield the decisions the index leaves out, and gaps and repeats in their numbers."""
    folder = ROOT / "docs/adr"
    index = (folder / "README.md").read_text()
    files = sorted(folder.glob("[0-9]*.md"))
    if [int(path.name[:4]) for path in files] != list(range(len(files))):
        yield "docs/adr: the numbers have a gap, or one is used twice"
    for path in files:
        if f"]({path.name})" not in index:
            yield f"docs/adr/README.md does not list {path.name}"
        for part in ("## Context", "## Decision", "## Consequences"):
            if part not in path.read_text():
                yield f"docs/adr/{path.name} has no {part!r}"


def unlisted_guides() -> Iterator[str]:
    """Yield the pages of the guide that README.md, its index, leaves out."""
    index = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "docs/guide").glob("*.md")):
        if f"| [docs/guide/{path.name}](docs/guide/{path.name}) |" not in index:
            yield f"README.md does not list docs/guide/{path.name}"


def private_places(files: list[Path]) -> Iterator[str]:
    """Yield where a file holds a path of this machine, or the host of a package registry."""
    own = [str(ROOT)]
    if str(ROOT.parent) not in COMMON:
        own += [str(path) for path in ROOT.parent.iterdir() if path.is_dir()]
    if str(Path.home()) not in COMMON:
        own.append(str(Path.home()))
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, own))})\b")
    for path in files:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        if found := pattern.search(text):
            yield f"{name} contains a path of this machine: {found[0]}"
        documents = path.suffix in {".md", ".lock", ".json", ".toml", ".in"} or name == "Makefile"
        if documents and (found := REGISTRY.search(text)):
            yield f"{name} names a package registry: {found[0]}"


def problems() -> Iterator[str]:
    """Yield everything that is wrong, one sentence each."""
    absent = [name for name in NEEDED if not (ROOT / name).is_file()]
    yield from (f"{name} is missing" for name in absent)
    if absent:
        return
    files = tracked()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = octavo_commands()
    if not commands:
        yield "`octavo --help` does not work, so the commands named in documents are not checked"
    for document in files:
        if document.suffix != ".md" or "tests" in document.parts or "src" in document.parts:
            continue
        name = document.relative_to(ROOT)
        yield from (f"{name} {problem}" for problem in broken_links(document))
        yield from (f"{name} {problem}" for problem in unknown_names(document, targets, commands))
    if "## Unreleased" not in (ROOT / "CHANGELOG.md").read_text():
        yield "CHANGELOG.md has no section '## Unreleased'"
    yield from missing_decisions()
    yield from unlisted_guides()
    yield from private_places(files)


def main() -> int:
    """Print every problem; exit 1 if there is one."""
    found = list(problems())
    for problem in found:
        print(f"docs: {problem}", file=sys.stderr)
    if not found:
        print("docs: good")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
