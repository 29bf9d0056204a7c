"""Writes requirements/*.lock: every package, transitive ones too, with its version and hashes.

The locks hold for every platform and every Python octavo runs on, and name no index, no host and
no local path: where packages come from is the business of whoever installs them. A file whose
hash is not listed is refused by pip.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = {
    "core": "../pyproject.toml",
    "mcp": "mcp.in",
    "build": "build.in",
    "dev": "dev.in",
    "lock": "lock.in",
    "sdk": "sdk.in",
    "mcp-servers": "mcp-servers.in",
}
"""Each lock and what it is made from; in this order, as dev is constrained by core."""
LEFT_OUT = {"sdk": "openai-codex-cli-bin"}
"""What a package asks for and nobody here needs; installed with --no-deps."""

HEADER = "# Written by `make lock` from {source}; do not edit.\n"
FORBIDDEN = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|(?<![\w.])/\w+/")


def compile_lock(name: str, source: str, *, upgrade: bool) -> str:
    """Return the text of one lock, resolved for all platforms."""
    command = [
        str(Path(sys.executable).parent / "uv"),
        *("pip", "compile", source, "-o", f"{name}.lock"),
        *("--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"),
        *("--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-config"),
        *("--annotation-style", "line"),
        *(["--upgrade"] if upgrade else []),
        *(["--allow-unsafe"] if name == "build" else []),
        *(["--no-emit-package", LEFT_OUT[name]] if name in LEFT_OUT else []),
    ]
    # Where pip has been told to look is this machine's business; uv asks the public index.
    env = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
    subprocess.run(command, cwd=ROOT / "requirements", env=env, check=True)
    return (ROOT / "requirements" / f"{name}.lock").read_text()


def main() -> int:
    """Write all locks; exit 1 if one would record where its packages came from."""
    upgrade = "--keep" not in sys.argv[1:]
    for name, source in LOCKS.items():
        text = HEADER.format(source=source.removeprefix("../"))
        text += compile_lock(name, source, upgrade=upgrade)
        if found := FORBIDDEN.search(text):
            print(f"{name}.lock would record a place: {found[0]}", file=sys.stderr)
            return 1
        (ROOT / "requirements" / f"{name}.lock").write_text(text)
        count = len(re.findall(r"^[a-z0-9]", text, re.MULTILINE | re.IGNORECASE))
        print(f"requirements/{name}.lock: {count} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
