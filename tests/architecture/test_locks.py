"""What an install consists of: pinned, hashed, few, and from nowhere in particular."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def packages(lock: Path) -> dict[str, str]:
    """Return each package of a lock with the text of its entry."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    return {entry.partition("==")[0]: entry for entry in entries}


def test_a_core_install_pulls_in_at_most_14_packages() -> None:
    assert 3 <= len(packages(ROOT / "requirements/core.lock")) <= 14


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_a_lock_has_one_version_and_its_hashes(lock: Path) -> None:
    entries = packages(lock)

    assert entries
    for name, entry in entries.items():
        assert re.match(rf"{re.escape(name)}==\S+ ", entry), entry
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), name


@pytest.mark.parametrize(
    "path",
    [*LOCKS, *sorted((ROOT / "tests").glob("*/**/package-lock.json"))],
    ids=lambda path: path.name,
)
def test_a_lock_does_not_say_where_its_packages_come_from(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"://|--index-url|--find-links|\"resolved\"", text)


def test_every_dependency_of_octavo_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[a-z0-9-]+", line)[0] for line in project["dependencies"]}  # type: ignore[index]  # a requirement starts with a name

    assert names <= set(packages(ROOT / "requirements/core.lock"))


def test_the_locks_agree_where_they_overlap() -> None:
    seen: dict[str, str] = {}
    for lock in LOCKS:
        for name, entry in packages(lock).items():
            version = entry.split()[0]
            assert seen.setdefault(name, version) == version, lock.name


def test_every_javascript_package_has_its_hash() -> None:
    lock = json.loads((ROOT / "tests/conformance/package-lock.json").read_text())

    fetched = {path: entry for path, entry in lock["packages"].items() if path}
    assert fetched
    assert all(entry["integrity"].startswith("sha512-") for entry in fetched.values())
