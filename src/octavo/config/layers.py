"""Settings in layers: whose they are, and how one lies over another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.keys import Key, dotted
from octavo.config.tables import Table

LayerName = Literal["system", "user", "profile", "project", "override", "flag"]


class Source(msgspec.Struct, frozen=True):
    """Where a value comes from. `toml_text.locate(file, key)` tells the line."""

    layer: LayerName
    file: Path | None = None
    """None for "override" (`-c`) and "flag"."""


class Layer(msgspec.Struct, frozen=True):
    """What one file, or the command line, sets."""

    source: Source
    table: Table


def lay(
    under: Table, over: Mapping[str, object], source: Source, sources: dict[str, Source]
) -> None:
    """Put the values of `over` on top of `under`, in place, and note their source by key."""
    _lay(under, over, source, sources, ())


def _lay(
    under: Table,
    over: Mapping[str, object],
    source: Source,
    sources: dict[str, Source],
    at: Key,
) -> None:
    for name, value in over.items():
        key = (*at, name)
        beneath = under.get(name)
        if isinstance(value, dict):
            if not isinstance(beneath, dict):
                sources.pop(dotted(key), None)
                beneath = under[name] = {}
            _lay(beneath, value, source, sources, key)
            continue
        if isinstance(beneath, dict):
            inside = dotted(key) + "."
            for gone in [known for known in sources if known.startswith(inside)]:
                del sources[gone]
        under[name] = value
        sources[dotted(key)] = source
