"""Writes the table of docs/attacks.md from the attack suite."""

from __future__ import annotations

import re
from pathlib import Path

from octavo.trial.attack.report import document
from octavo.trial.attack.suite import CASES

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "attacks.md"


def main() -> None:
    """Replace the table."""
    text = DOCUMENT.read_text()
    table = re.compile(r"^\| \| attack .*?(?=^[^|]|\Z)", re.MULTILINE | re.DOTALL)
    DOCUMENT.write_text(table.sub(lambda _: document(CASES), text))


if __name__ == "__main__":
    main()
