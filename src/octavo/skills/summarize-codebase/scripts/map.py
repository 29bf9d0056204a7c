"""Print a map of a code base: languages, folders, entry points, big, busy and central files.

    python3 map.py [FOLDER] [--commits N] [--top N] [--json]

Reads what git tracks or would add, else all files but those of hidden and build folders. Reads at
most 400 kB of a file, and runs nothing but git. Names and contents are the repository's.

Exit: 0 printed · 2 the folder is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

READ_BYTES = 400_000
FILE_LIMIT = 200_000
LANGUAGES = {
    "Python": "py pyi", "JavaScript": "js mjs cjs jsx", "TypeScript": "ts tsx mts cts", "Go": "go",
    "Rust": "rs", "Java": "java", "Kotlin": "kt kts", "C": "c h", "C++": "cc cpp cxx hpp hh hxx",
    "C#": "cs", "Ruby": "rb", "PHP": "php", "Swift": "swift", "Scala": "scala",
    "Shell": "sh bash zsh", "Elixir": "ex exs", "Erlang": "erl", "Haskell": "hs", "Lua": "lua",
    "R": "r", "Dart": "dart", "SQL": "sql", "HTML": "html htm", "CSS": "css scss sass less",
    "Vue": "vue", "Svelte": "svelte", "Zig": "zig", "Terraform": "tf", "Protocol Buffers": "proto",
    "GraphQL": "graphql gql", "Markdown": "md mdx", "reStructuredText": "rst", "YAML": "yml yaml",
    "TOML": "toml", "JSON": "json",
}  # fmt: skip
BY_ENDING = {ending: name for name, endings in LANGUAGES.items() for ending in endings.split()}
NO_CODE = {"Markdown", "reStructuredText", "YAML", "TOML", "JSON"}
GENERATED = re.compile(
    r"(?:^|/)(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Cargo\.lock|go\.sum"
    r"|[^/]+\.min\.(?:js|css)|[^/]+\.(?:lock|svg|map)|[^/]+_pb2\.pyi?|[^/]+\.pb\.go)$"
    r"|(?:^|/)(?:vendor|third_party|node_modules|dist|generated)/"
)
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "target", "dist", "build", "venv", "vendor"}
TEST = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__|e2e)/|(?:^|/)(?:test_[^/]+|[^/]+[_.](?:test|spec)\.[a-z]+|[^/]+Test\.(?:java|kt))$"
)
BUILD_FILES = {
    "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "package.json", "Cargo.toml",
    "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "CMakeLists.txt", "Makefile",
    "makefile", "justfile", "Gemfile", "composer.json", "mix.exs", "Dockerfile",
    "docker-compose.yml", "compose.yaml", "flake.nix", "tox.ini", "noxfile.py", "meson.build",
    "BUILD.bazel", "WORKSPACE", "Taskfile.yml", "turbo.json",
}  # fmt: skip
GUIDES = re.compile(
    r"(?:^|/)(?:README|AGENTS|CONTRIBUTING|ARCHITECTURE|CHANGELOG|SECURITY|CLAUDE|DESIGN)(?:\.\w+)?$",
    re.IGNORECASE,
)
CI = re.compile(
    r"^(?:\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|\.circleci/config\.yml|Jenkinsfile|azure-pipelines\.yml|\.travis\.yml|\.buildkite/.+)$"
)
STARTS = {
    "Python": re.compile(r"^if __name__ == [\"']__main__[\"']", re.MULTILINE),
    "Go": re.compile(r"^package main\b[\s\S]*^func main\(\)", re.MULTILINE),
    "Rust": re.compile(r"^(?:pub )?(?:async )?fn main\(", re.MULTILINE),
    "Java": re.compile(r"public static void main\("),
    "Kotlin": re.compile(r"^(?:suspend )?fun main\(", re.MULTILINE),
    "C": re.compile(r"^(?:int|void)\s+main\s*\(", re.MULTILINE),
    "C++": re.compile(r"^(?:int|auto)\s+main\s*\(", re.MULTILINE),
    "C#": re.compile(r"static (?:async )?(?:void|int|Task(?:<int>)?) Main\("),
    "Swift": re.compile(r"^@main\b", re.MULTILINE),
}
PYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+\(?([\w ,\t]*)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)
PAIR = re.compile(r"^\s*[\"']?([\w.-]+)[\"']?\s*=\s*[\"']([^\"'\n]{1,200})[\"']", re.MULTILINE)
SCRIPT_IMPORT = re.compile(r"(?:from|require\(|import\(|import)\s*[\"'](\.{1,2}/[^\"'\n]+)[\"']")


class Map:
    """What was found, file by file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = sorted(list_files(root))
        self.lines: dict[str, int] = {}
        self.bytes: dict[str, int] = {}
        self.starts: list[tuple[str, str]] = []
        self._imports: dict[str, set[str]] = defaultdict(set)
        self._modules = {module: name for name in self.names for module in modules_of(name)}
        known = set(self.names)
        for name in self.names:
            self._read(name, known)

    def _read(self, name: str, known: set[str]) -> None:
        path = self.root / name
        if path.is_symlink() or not path.is_file():
            return
        try:
            with path.open("rb") as file:
                data = file.read(READ_BYTES)
            self.bytes[name] = path.stat().st_size
        except OSError:
            return
        if b"\0" in data[:8000] or GENERATED.search(name):
            return
        lines = data.count(b"\n")
        whole = self.bytes[name]
        self.lines[name] = lines if whole <= len(data) else round(lines * whole / len(data))
        text = data.decode("utf-8", "replace")
        language = language_of(name)
        if language in STARTS and not TEST.search(name) and STARTS[language].search(text):
            self.starts.append((name, f"{language} program"))
        self.starts += declared(PurePosixPath(name).name, name, text)
        if language == "Python":
            targets = {
                self._modules[one] for one in python_imports(name, text) if one in self._modules
            }
        elif language in ("JavaScript", "TypeScript", "Vue", "Svelte"):
            targets = set(script_imports(name, text, known))
        else:
            targets = set()
        for target in targets - {name}:
            self._imports[target].add(name)

    def result(self, commits: int, top: int) -> dict[str, Any]:
        code = {
            name: n for name, n in self.lines.items() if language_of(name) not in ("", *NO_CODE)
        }
        languages: Counter[str] = Counter()
        for name, count in self.lines.items():
            if language := language_of(name):
                languages[language] += count
        files = Counter(map(language_of, self.lines))
        high = [name for name in self.names if name.count("/") < 3]
        folders: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for name in self.names:
            for folder in folders_of(name):
                folders[folder][0] += 1
                folders[folder][1] += code.get(name, 0)
        tests = {name: n for name, n in code.items() if TEST.search(name)}
        test_tops = Counter(name.partition("/")[0] for name in tests)
        central = Counter(
            {name: len(users) for name, users in self._imports.items() if not TEST.search(name)}
        )
        busy, asked = changes(self.root, commits)
        return {
            "files": len(self.names),
            "languages": [
                {"name": one, "files": files[one], "lines": lines}
                for one, lines in languages.most_common(12)
            ],
            "folders": [
                {"path": path, "files": count, "lines": lines}
                for path, (count, lines) in largest(folders)[: 2 * top]
            ],
            "guides": [name for name in high if GUIDES.search(name)][:20],
            "build": [name for name in high if PurePosixPath(name).name in BUILD_FILES][:20],
            "ci": [name for name in self.names if CI.match(name)][:20],
            "starts": [{"path": n, "what": what} for n, what in self._ranked_starts()[: 2 * top]],
            "tests": {
                "files": len(tests), "lines": sum(tests.values()),
                "places": [f"{name} ({count})" for name, count in test_tops.most_common(6)],
            },
            "biggest": [{"path": n, "lines": c} for n, c in Counter(code).most_common(top)],
            "central": [{"path": n, "importers": c} for n, c in central.most_common(top)],
            "busy": [
                {"path": n, "commits": c} for n, c in busy.most_common() if n in self.bytes
            ][:top],
            "commits_read": asked,
            "large_files": [
                {"path": n, "bytes": c}
                for n, c in Counter(self.bytes).most_common(5)
                if c > 1_000_000
            ],
        }  # fmt: skip

    def _ranked_starts(self) -> list[tuple[str, str]]:
        """What a manifest declares first, then what is near the top."""
        unique = dict.fromkeys(self.starts)
        return sorted(unique, key=lambda one: ("program" in one[1], one[0].count("/"), one[0]))


def list_files(root: Path) -> Iterator[str]:
    """Yield the files as paths from `root` with slashes; at most FILE_LIMIT."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    done = run(asked, root)
    if done is not None:
        yield from (name for name in done.split("\0")[:FILE_LIMIT] if name)
        return
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS
        )
        for name in names:
            count += 1
            if count > FILE_LIMIT:
                return
            yield Path(folder, name).relative_to(root).as_posix()


def changes(root: Path, commits: int) -> tuple[Counter[str], int]:
    """Return how many of the last commits changed each file, and how many there were."""
    asked = [
        "git",
        "log",
        f"-n{commits}",
        "--no-merges",
        "--format=%x1e",
        "--name-only",
        "--relative",
        "-z",
    ]
    said = run(asked, root)
    if said is None:
        return Counter(), 0
    blocks = said.split("\x1e")[1:]
    counted = Counter(
        n.strip("\n") for block in blocks for n in set(block.split("\0")) if n.strip("\n")
    )
    return Counter({n: c for n, c in counted.items() if not GENERATED.search(n)}), len(blocks)


def run(words: list[str], folder: Path) -> str | None:
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, check=False, env=env)
    except OSError:
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


def language_of(name: str) -> str:
    return BY_ENDING.get(PurePosixPath(name).suffix.lower().lstrip("."), "")


def folders_of(name: str) -> Iterator[str]:
    """Yield the folders of a file down to the third level."""
    parts = name.split("/")[:-1]
    for depth in range(1, min(len(parts), 3) + 1):
        yield "/".join(parts[:depth]) + "/"


def largest(folders: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    """Return the folders by lines of code, without those that hold one folder and nothing else."""
    only = {
        path
        for path, counts in folders.items()
        if any(
            other.startswith(path) and other != path and folders[other] == counts
            for other in folders
        )
    }
    kept = [(path, counts) for path, counts in folders.items() if path not in only]
    return sorted(kept, key=lambda one: (-one[1][1], one[0]))


def declared(base: str, name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the programs and commands a manifest declares."""
    if base == "pyproject.toml":
        for table in re.findall(r"^\[project\.(?:gui-)?scripts\]([^\[]*)", text, re.MULTILINE):
            for command, target in PAIR.findall(table):
                yield name, f"command `{command}` → {target}"
    elif base == "package.json":
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            return
        table = as_dict(table)
        programs = table.get("bin")
        for command, target in (as_dict(programs) or {"(bin)": programs}).items():
            if isinstance(target, str):
                yield name, f"command `{command}` → {target}"
        if isinstance(table.get("main"), str):
            yield name, f"library → {table['main']}"
        for command in ("start", "dev", "build", "test"):
            if isinstance(line := as_dict(table.get("scripts")).get(command), str):
                yield name, f"`npm run {command}` → {line[:100]}"
    elif base == "Dockerfile":
        for line in re.findall(r"^(?:ENTRYPOINT|CMD)\s+.+$", text, re.MULTILINE)[-2:]:
            yield name, line[:120]
    elif base in ("Makefile", "makefile"):
        targets = re.findall(r"^([A-Za-z][\w-]*):(?!=)", text, re.MULTILINE)
        if targets:
            yield name, f"make {' '.join(dict.fromkeys(targets[:16]))}"
    elif base == "manage.py" and "django" in text:
        yield name, "Django's commands"
    elif base == "__main__.py":
        yield name, "Python program, by `python -m`"


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def modules_of(name: str) -> Iterator[str]:
    """Yield the dotted names by which a Python file may be imported."""
    if not name.endswith(".py"):
        return
    parts = name[:-3].split("/")
    if parts[-1] == "__init__":
        parts.pop()
    for start in range(len(parts)):
        if start == 0 or parts[start - 1] in ("src", "lib", "python"):
            yield ".".join(parts[start:])


def python_imports(name: str, text: str) -> Iterator[str]:
    own = name[:-3].split("/")
    own = own[own.index("src") + 1 :] if "src" in own else own
    for written, names, plain in PYTHON_IMPORT.findall(text):
        if plain:
            yield from (part.split()[0] for part in plain.split(",") if part.split())
            continue
        rest = written.lstrip(".")
        up = len(written) - len(rest)
        source = ".".join([*own[: len(own) - up], *filter(None, [rest])]) if up else written
        yield source
        yield from (f"{source}.{part.split()[0]}" for part in names.split(",") if part.split())


def script_imports(name: str, text: str, known: set[str]) -> Iterator[str]:
    folder = PurePosixPath(name).parent
    for target in SCRIPT_IMPORT.findall(text):
        place = os.path.normpath(folder / target)
        stem = re.sub(r"\.[mc]?jsx?$", "", place)
        for ending in (
            "",
            ".ts",
            ".tsx",
            ".js",
            ".jsx",
            ".mjs",
            ".vue",
            "/index.ts",
            "/index.tsx",
            "/index.js",
        ):
            for base in (place, stem):
                if base + ending in known:
                    yield base + ending
                    break
            else:
                continue
            break


def shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def lines_of(found: dict[str, Any]) -> Iterator[str]:
    def table(title: str, entries: Iterable[dict[str, Any]], unit: str) -> Iterator[str]:
        rows = list(entries)
        if rows:
            yield f"\n## {title}"
            yield from (f"{row[unit]:>9,}  {shown(row.get('path') or row['name'])}" for row in rows)

    yield f"{found['files']:,} files"
    yield from table("Languages (lines)", found["languages"], "lines")
    yield from table("Folders (lines of code)", found["folders"], "lines")
    for title in ("guides", "build", "ci"):
        yield f"\n{title}: {', '.join(map(shown, found[title])) or 'none'}"
    yield "\n## Where it starts"
    yield from (f"  {shown(one['path'])}: {shown(one['what'])}" for one in found["starts"])
    tests = found["tests"]
    places = ", ".join(map(shown, tests["places"])) or "no place"
    yield f"\ntests: {tests['files']} files, {tests['lines']:,} lines, in {places}"
    yield from table("Biggest (lines)", found["biggest"], "lines")
    yield from table("Most imported (by so many files)", found["central"], "importers")
    yield from table(
        f"Most changed (in the last {found['commits_read']} commits)", found["busy"], "commits"
    )
    yield from table("Large files (bytes)", found["large_files"], "bytes")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Print a map of a code base.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument(
        "--commits", type=int, default=500, help="how many to read for what changes"
    )
    parser.add_argument("--top", type=int, default=12, help="how many entries of each list")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if not options.folder.is_dir():
        print(f"{options.folder} is no folder.", file=sys.stderr)
        return 2
    found = Map(options.folder).result(options.commits, options.top)
    print(json.dumps(found, indent=1) if options.json else "\n".join(lines_of(found)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
