"""What hides in a text a model is given, made visible: the words' own, under the name used here."""

from __future__ import annotations

from octavo.protocol.visible import visible, visible_line

__all__ = ["visible", "visible_line"]
