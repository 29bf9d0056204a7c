"""Take keys out of text before a model or a log gets it.

Two kinds are known: the values of this process's own secret variables, and the shapes of keys
that well-known services give out. What has neither passes. Linear in the text, and quick when
there is nothing to take out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

REDACTED = "[redacted]"

_SECRET_NAMES = ("KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL")
_SECRET_MIN_CHARS = 8

# Left as text: `re` compiles and keeps them when a text first may hold a key, not at every start.
_SHAPES = (
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic and those who copied them
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|glpat-[A-Za-z0-9_-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36,}|pypi-[A-Za-z0-9_-]{50,}"
    r"|[rs]k_live_[A-Za-z0-9]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    r")"
)
_SHAPE_STARTS = (
    *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "ASIA", "xox", "AIza"),
    *("glpat-", "hf_", "npm_", "pypi-", "k_live_", "eyJ"),
)
_BEGIN_KEY = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_END_KEY = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"


_ASSIGNED = (
    r"(?im)^\s*(?:export\s+|set\s+)?[\w.-]*(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|CREDENTIAL)[\w.-]*"
    r"\s*[=:]\s*(?:'[^'\n]{8,}'|\"[^\"$\n]{8,}\"|(?!\S*\()[^\s'\"$<{]{8,})"
)


def names_secret(text: str) -> bool:
    """Whether a text gives a value to something that is named like a secret, as `.env` files do."""
    upper = text.upper()
    if not any(name in upper for name in _SECRET_NAMES):
        return False
    return re.search(_ASSIGNED, text) is not None


def secret_values(env: Mapping[str, str]) -> list[str]:
    """Return the values in `env` that are secrets by their name.

    Short values, paths and plain words are none: taking "disabled" out of everything that is
    ever shown would hide more than it protects. A password may be a word.
    """
    return [
        value
        for name, value in env.items()
        if any(part in name.upper() for part in _SECRET_NAMES)
        and len(value) >= _SECRET_MIN_CHARS
        and ("PASSW" in name.upper() or _looks_random(value))
    ]


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return the function that replaces `secrets`, and all that looks like a key."""
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def redact(text: str) -> str:
        for secret in known:
            text = text.replace(secret, REDACTED)
        if any(start in text for start in _SHAPE_STARTS):
            text = re.sub(_SHAPES, _replace, text)
        if "PRIVATE KEY" in text:
            text = _redact_key_blocks(text)
        return text

    return redact


def _looks_random(value: str) -> bool:
    if value.startswith(("/", "~", "./")):
        return False
    return not (value.isalpha() and (value.islower() or value.isupper())) and not value.isspace()


def _replace(found: re.Match[str]) -> str:
    """Leave names such as `sk-learn-contrib-packages` alone: keys have digits."""
    return REDACTED if re.search("[0-9]", found[0]) else found[0]


def _redact_key_blocks(text: str) -> str:
    """Replace private keys; one whose end is missing reaches to the end of the text."""
    begin_key, end_key = re.compile(_BEGIN_KEY), re.compile(_END_KEY)
    parts: list[str] = []
    position = 0
    while begin := begin_key.search(text, position):
        parts += [text[position : begin.start()], REDACTED]
        end = end_key.search(text, begin.end())
        if end is None:
            return "".join(parts)
        position = end.end()
    return "".join([*parts, text[position:]])
