"""Which settings may hold a secret, and what is shown in their place."""

from __future__ import annotations

import re

from octavo.config.keys import Key

MASK = "********"

_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(\w+://)[^/@]*@")


def masked(key: Key, value: object) -> object:
    """Return `value`, or the mask where it is or may hold a secret."""
    if not isinstance(value, str):
        return value
    if key[-1] == "experimental_bearer_token" or "http_headers" in key[:-1]:
        return MASK
    if key[-2:-1] in (("query_params",), ("set",), ("env",)) and _SECRET_NAME.search(key[-1]):
        return MASK
    return _PASSWORD_IN_URL.sub(rf"\1{MASK}@", value)


def masked_table(table: dict[str, object], at: Key = ()) -> dict[str, object]:
    """Return `table` with every secret in it masked, tables inside included."""
    return {
        name: masked_table(value, (*at, name))
        if isinstance(value, dict)
        else masked((*at, name), value)
        for name, value in table.items()
    }
