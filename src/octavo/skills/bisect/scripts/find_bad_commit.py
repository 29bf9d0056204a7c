"""Find the first bad commit between two, in a copy of the repository that is removed afterwards.

`git bisect` chooses the commits; this program tries them: it makes sure of both ends first, copies
and links what the test needs, stops a run that takes too long, and repeats one that is not to be
relied on. The repository itself is only read.

Exit: 0 found · 1 the ends are not good and bad · 2 it could not start · 3 not decided.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SHOWN_LINES = 25
SHOWN_BYTES = 8_000
CANNOT_TELL = (125, 126, 127)
"""Exit codes that say nothing about the fault: the test's own word for it, and not started."""
ODD = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


class Stop(Exception):
    """The search cannot go on: exit code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Git:
    """Git in one folder, in its own words, without the hooks and settings of the surroundings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clean = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        self.env = {**clean, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *words],
            cwd=self.folder, env=self.env, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def ask(self, *words: str) -> str:
        done = self.run(*words)
        if done.returncode != 0:
            raise Stop(2, f"git {' '.join(words)} failed:\n{done.stdout.strip()}")
        return done.stdout.strip()


class Trial:
    """Runs the test on one commit of the copy."""

    def __init__(self, options: argparse.Namespace, source: Path, copy: Git) -> None:
        self.options = options
        self.source = source
        self.copy = copy
        self.log = copy.folder.parent / "output"
        self.hang_is_bad = False

    def verdict(self, commit: str) -> tuple[str, str]:
        """Return "good", "bad", "skip" or "hang", and the end of what the last run printed."""
        self._prepare(commit)
        if self.options.setup:
            code, said = self._run(["sh", "-c", self.options.setup])
            if code != 0:
                return "skip", f"(setup failed)\n{said}"
        said = ""
        for _ in range(self.options.repeat):
            code, said = self._run(self.options.command)
            if code is None:
                return "hang", said
            if code in CANNOT_TELL:
                return "skip", said
            if code != 0:
                return "bad", said
        return "good", said

    def _prepare(self, commit: str) -> None:
        self.copy.ask("checkout", "--quiet", "--force", "--detach", commit)
        self.copy.ask("clean", "-ffdq" if self.options.keep_ignored else "-ffdqx")
        for name in self.options.link:
            place = self.copy.folder / name
            if not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(self.source / name)
        for name in self.options.with_file:
            place = self.copy.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.source / name, place)

    def _run(self, command: list[str]) -> tuple[int | None, str]:
        """Return the exit code, None after the time limit, and the end of the output."""
        with self.log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.copy.folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            )  # fmt: skip
            code: int | None = None
            try:
                code = process.wait(timeout=self.options.timeout_s)
            except subprocess.TimeoutExpired:
                pass
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
        return code, self._tail()

    def _tail(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - SHOWN_BYTES))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(ODD.sub("", text).splitlines()[-SHOWN_LINES:])


def main(argv: list[str]) -> int:
    options = read_options(argv)
    place = None
    try:
        source = Git(Path.cwd())
        source.folder = Path(source.ask("rev-parse", "--show-toplevel"))
        check_paths(options, source.folder)
        good, bad = (commit_of(source, ref) for ref in (options.good, options.bad))
        check_order(source, good, bad)
        place = Path(tempfile.mkdtemp(prefix="bisect-"))
        copy = Git(place / "copy")
        clone = ("clone", "--quiet", "--shared", "--no-checkout", "--template=")
        source.ask(*clone, str(source.folder), str(copy.folder))
        if source.ask("status", "--porcelain", "--untracked-files=no"):
            print("Note: uncommitted changes are not part of what is tried.")
        return search(Trial(options, source.folder, copy), good, bad)
    except Stop as stop:
        print(stop)
        return stop.code
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def search(trial: Trial, good: str, bad: str) -> int:
    """Try the ends, then what `git bisect` asks for. Returns the exit code."""
    git = trial.copy
    seen = {bad: make_sure(trial, bad, "bad"), good: make_sure(trial, good, "good")}
    said = git.ask("bisect", "start", bad, good)
    while not decided(said):
        commit = git.ask("rev-parse", "HEAD")
        verdict, output = trial.verdict(commit)
        if verdict == "hang":
            verdict = "bad" if trial.hang_is_bad else "skip"
        print(f"{verdict:>5}  {described(git, commit)}", flush=True)
        seen[commit] = output
        done = git.run("bisect", verdict)
        said = done.stdout
        if done.returncode not in (0, 2):
            raise Stop(2, f"git bisect failed:\n{said.strip()}")
    found = re.search(r"^([0-9a-f]{40,64}) is the first bad commit$", said, re.MULTILINE)
    if found is None:
        left = [
            described(git, one) for one in re.findall(r"^([0-9a-f]{40,64})$", said, re.MULTILINE)
        ]
        print("Not decided: all that is left was skipped. The first bad commit is one of:")
        print("\n".join(f"  {line}" for line in left))
        return 3
    show(git, found[1], seen.get(found[1], ""))
    return 0


def decided(said: str) -> bool:
    return "is the first bad commit" in said or "only 'skip'ped commits left" in said


def make_sure(trial: Trial, commit: str, wanted: str) -> str:
    """Return the output at an end of the range. Raises Stop where it is not what it should be."""
    verdicts = []
    output = ""
    for _ in range(2):
        verdict, output = trial.verdict(commit)
        verdicts.append(verdict)
        if verdict not in (wanted, "hang"):
            break
    print(f"{verdicts[-1]:>5}  {described(trial.copy, commit)}  (taken to be {wanted})", flush=True)
    if wanted == "bad" and verdicts == ["hang", "hang"]:
        trial.hang_is_bad = True
        return output
    if set(verdicts) == {wanted}:
        return output
    if len(set(verdicts)) > 1:
        raise Stop(3, f"This commit is {' and '.join(verdicts)} by turns; give --repeat.\n{output}")
    raise Stop(1, f"The end that was taken to be {wanted} is not: {verdicts[-1]}.\n{output}")


def show(git: Git, commit: str, output: str) -> None:
    print(f"\nFirst bad commit: {commit}")
    print(ODD.sub("", git.ask("show", "--no-patch", "--format=%an, %ad%n%n%B", commit)).strip())
    print()
    print(git.ask("show", "--stat=100", "--format=", "--first-parent", "-m", commit))
    print("\nIt ended there with:")
    print("\n".join(f"  | {line}" for line in output.splitlines()))


def described(git: Git, commit: str) -> str:
    return ODD.sub(
        "", git.ask("show", "--no-patch", "--format=%h %as %<(70,trunc)%s", commit)
    ).strip()


def commit_of(git: Git, ref: str) -> str:
    done = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if done.returncode != 0:
        raise Stop(2, f"{ref!r} is no commit of this repository.")
    return done.stdout.strip().splitlines()[-1]


def check_order(git: Git, good: str, bad: str) -> None:
    if good == bad:
        raise Stop(2, "The good and the bad commit are the same.")
    if git.run("merge-base", "--is-ancestor", good, bad).returncode != 0:
        base = git.run("merge-base", good, bad).stdout.strip() or "none"
        raise Stop(
            2, f"The good commit is not an ancestor of the bad one. Their merge base: {base[:40]}"
        )


def check_paths(options: argparse.Namespace, top: Path) -> None:
    for name in (*options.link, *options.with_file):
        place = (top / name).absolute()
        if ".." in Path(name).parts or top not in place.parents or not place.exists():
            raise Stop(2, f"{name} is not there, or not in {top}; give paths from its top.")


def read_options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Find the first bad commit, in a copy.")
    parser.add_argument("--good", required=True, metavar="REF")
    parser.add_argument("--bad", default="HEAD", metavar="REF")
    parser.add_argument("--with", dest="with_file", action="append", default=[], metavar="FILE")
    parser.add_argument("--link", action="append", default=[], metavar="PATH")
    parser.add_argument("--setup", metavar="COMMAND")
    parser.add_argument("--repeat", type=int, default=1, metavar="N")
    parser.add_argument("--timeout-s", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--keep-ignored", action="store_true")
    parser.add_argument("command", nargs="+", help="after --; one word is given to sh")
    options = parser.parse_args(argv)
    if len(options.command) == 1 and not re.fullmatch(r"[\w./+-]+", options.command[0]):
        options.command = ["sh", "-c", options.command[0]]
    elif options.command[0] != "sh":
        options.command = ["env", *options.command]  # also takes NAME=value in front
    return options


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
