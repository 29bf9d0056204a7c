"""What every test of the command line gets."""

from __future__ import annotations

from tests.cli.running import shell

__all__ = ["shell"]
