"""What a core install consists of: the packages of requirements/core.lock, as installed here."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements/core.lock"


def normal(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, tuple[str, list[str]]]:
    """Return version and sha256 hashes of each package a core install needs here."""
    packages: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in LOCK.read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line):
            name = normal(match[1])
            packages[name] = (match[2], [])
        elif match := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            packages[name][1].append(match[1])
    return packages


def needed_by(packages: dict[str, tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Return who asks for each package: other packages, or octavo itself."""
    askers: dict[str, list[str]] = {name: [] for name in packages}
    for asker in ["octavo", *packages]:
        for requirement in metadata.requires(asker) or []:
            name = normal(re.match(r"[A-Za-z0-9_.-]+", requirement)[0])  # type: ignore[index]  # always starts with a name
            if name in askers and "extra ==" not in requirement and asker not in askers[name]:
                askers[name].append(asker)
    return askers


def licence(name: str) -> str:
    """Return the SPDX expression a package declares, or the nearest thing it gives."""
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    for classifier in about.get_all("Classifier") or []:
        if classifier.startswith("License ::"):
            return classifier.rpartition(" :: ")[2].removesuffix(" License")
    return (about.get("License") or "unknown").splitlines()[0]


def size_bytes(name: str) -> int:
    """Return what a package occupies on disk, compiled files left out."""
    files = metadata.files(name) or []
    places = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(place.stat().st_size for place in places if place.is_file())


def modules(name: str) -> list[str]:
    """Return the top-level modules a package brings."""
    tops = {
        file.parts[0].removesuffix(".py")
        for file in metadata.files(name) or []
        if file.suffix == ".py" and not file.parts[0].endswith((".dist-info", ".data"))
    }
    return sorted(top for top in tops if top.isidentifier() and top != "__pycache__")
