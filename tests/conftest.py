"""What every test runs under: no real home, no real keys, no proxy, one async backend.

The environment is set while this file is imported, before octavo or any test is, so that nothing
can have looked at the real one. The home is not under /tmp, which commands in the sandbox may
write to: a test of what they may not reach needs a home that is out of their reach.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.sampling import PROVE, sample

_SECRETS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
_FOREIGN = ("OCTAVO_", "CODEX_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "LMSTUDIO_", "XDG_", "GIT_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

_GITCONFIG = """\
[user]
    name = Test
    email = test@example.invalid
[init]
    defaultBranch = main
[commit]
    gpgSign = false
[gc]
    auto = 0
"""


def _fresh_home() -> Path:
    """Make an empty home and point the environment at it; drop what leads anywhere else."""
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None
    home = Path(tempfile.mkdtemp(prefix="octavo-test-home-", dir=place)).resolve()
    for name in list(os.environ):
        if name in ("OCTAVO_PROVE", "OCTAVO_LLAMA_SERVER"):
            continue
        if (
            name.startswith(_FOREIGN)
            or name.lower() in _PROXIES
            or any(word in name.upper() for word in _SECRETS)
        ):
            del os.environ[name]
    os.environ["HOME"] = str(home)
    os.environ["OCTAVO_HOME"] = str(home / ".octavo")
    os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
    (home / ".gitconfig").write_text(_GITCONFIG)
    return home


_HOME = _fresh_home()

settings.register_profile(
    "fast",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "prove",
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("prove" if PROVE else "fast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Full counts take long: a hang is then looked for elsewhere."""
    if PROVE:
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


def pytest_unconfigure() -> None:
    """Remove the test home, also when files in it were made read-only."""
    for root, folders, _ in os.walk(_HOME):
        for folder in folders:
            path = os.path.join(root, folder)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def anyio_backend() -> str:
    """asyncio is the only loop octavo runs on."""
    return "asyncio"


@pytest.fixture(name="sample")
def _sample() -> Callable[[int, int], int]:
    """`sample(full, fast)`: how often to do something; see `tests.sampling`."""
    return sample


@pytest.fixture
def workspace() -> Iterator[Path]:
    """An empty git repository, outside of /tmp so that the sandbox decides what is writable."""
    place = Path(tempfile.mkdtemp(prefix="octavo-test-", dir=Path.home()))
    folder = place / "work"
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    yield folder
    shutil.rmtree(place, ignore_errors=True)
