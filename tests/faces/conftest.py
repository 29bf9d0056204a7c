"""What every test of a face gets."""

from __future__ import annotations

from tests.faces.running import place

__all__ = ["place"]
