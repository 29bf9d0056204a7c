"""A person who trusts a project and agrees to all that executes in it, as it is now."""

from __future__ import annotations

from pathlib import Path

from octavo.config.consent import accept
from octavo.config.consent_items import effective_items
from octavo.config.load import load
from octavo.config.trust import set_trust


def trust_wholly(home: Path, cwd: Path) -> None:
    set_trust(home, cwd, "trusted")
    loaded = load(cwd=cwd, env={"OCTAVO_HOME": str(home), "HOME": str(home.parent)})
    accept(home, effective_items(loaded, cwd))
