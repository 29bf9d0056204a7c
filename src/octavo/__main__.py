"""`python -m octavo` is `octavo`."""

from __future__ import annotations

from octavo.cli import program

if __name__ == "__main__":
    program()
