"""What a provider's refusals mean: which error, whether to ask again, and what to tell a person.

Everything a provider sends is somebody else's text: it is bounded and stripped of control
characters before it becomes part of a sentence of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from octavo.model import Provider
from octavo.model.http import is_loopback
from octavo.protocol.errors import ModelBusy, ModelError, OutputLimit, StreamCut

MAX_ERROR_BODY_BYTES = 64 * 1024
_MAX_QUOTED = 600

_RETRIED = frozenset({408, 409, 425, 429})
_NEVER_RETRIED = frozenset({501, 505})
_QUOTA = frozenset(
    {
        "usage_limit_reached",
        "usage_not_included",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_error",
    }
)
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT_TEXT = re.compile(
    r"context (length|window|size|limit)|maximum context|too many tokens|prompt is too long",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"try again in\s+((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|millis|s|m|h)", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "millis": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Fault(msgspec.Struct, frozen=True):
    """What a provider said went wrong. Empty strings where it said nothing."""

    code: str = ""
    kind: str = ""
    message: str = ""

    def names(self, codes: frozenset[str]) -> bool:
        """Say whether the code or the type is one of `codes`."""
        return self.code in codes or self.kind in codes


def read_fault(body: bytes) -> Fault:
    """Return what an error body says, in any of the forms that servers use."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode(errors="replace").strip()
        return Fault(message="" if text.startswith("<") else plain(text))
    if isinstance(value, dict):
        return fault_of(value.get("error", value))
    return Fault(message=plain(value) if isinstance(value, str) else "")


def without_secrets(provider: Provider, body: bytes) -> bytes:
    """Return what a provider said without the key it was sent: some quote it when they refuse."""
    for secret in sorted(provider.secrets(), key=len, reverse=True):
        body = body.replace(secret.encode("utf-8", "replace"), b"[redacted]")
    return body


def fault_of(error: object) -> Fault:
    """Return the fault that a decoded `error` value describes."""
    if isinstance(error, str):
        return Fault(message=plain(error))
    if not isinstance(error, dict):
        return Fault()
    message = error.get("message") or error.get("detail") or error.get("error") or ""
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return Fault(_word(error.get("code")), _word(error.get("type")), plain(message))


def plain(text: str) -> str:
    """Return `text` as one bounded line without control characters."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[:4000]).split())
    return shown if len(shown) <= _MAX_QUOTED else f"{shown[:_MAX_QUOTED]}…"


def refused(
    provider: Provider,
    model: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    place: tuple[str, str],
) -> ModelError:
    """Return the error for an HTTP answer that is not a success.

    Args:
        provider: who answered.
        model: what was asked for.
        status: the answer's.
        headers: the answer's, with names in lower case.
        body: the answer's, or its beginning.
        place: the address that was asked, and the name of the API that is spoken there.
    """
    fault = read_fault(without_secrets(provider, body))
    said = _quote(fault)
    who = provider.name
    if status in _RETRIED or (status >= 500 and status not in _NEVER_RETRIED):
        if fault.names(_QUOTA):
            return _out_of_quota(who, said, status)
        wait_s = retry_after_s(headers, fault.message)
        return _busy(who, said, status, wait_s)
    if _is_too_long(fault):
        return context_too_long(who, said, status)
    if status == 401:
        login = "octavo login" + ("" if provider.id == "openai" else f" --provider {provider.id}")
        return ModelError(
            f"{who} refuses the key (HTTP 401){said}",
            hint=f"Store a valid one with `{login}`, or set the provider's key variable.",
            info="unauthorized",
            status=status,
        )
    if status == 403:
        return ModelError(
            f"{who} does not allow this (HTTP 403){said}",
            hint="Check what the key, its project and its region may use.",
            info="unauthorized",
            status=status,
        )
    if fault.code == "model_not_found" or (status == 404 and "model" in fault.message.lower()):
        return model_not_found(provider, model, said, status)
    if status in (404, 405):
        return _no_such_place(place, said, status)
    if 300 <= status < 400:
        target = plain(headers.get("location", "elsewhere"))
        return ModelError(
            f"{who} redirects to {target} (HTTP {status}), and prompts are not sent on.",
            hint="If you trust that address, set base_url to it.",
            info="badRequest",
            status=status,
        )
    if status == 402 or fault.names(_QUOTA) or "credit balance is too low" in fault.message:
        return _out_of_quota(who, said, status)
    if status == 413:
        return context_too_long(who, said, status)
    return ModelError(
        f"{who} rejects the request (HTTP {status}){said}", info="badRequest", status=status
    )


def _no_such_place(place: tuple[str, str], said: str, status: int | None) -> ModelError:
    url, api = place
    return ModelError(
        f"{url} does not exist (HTTP {status}){said}",
        hint=f"Check base_url; the server must speak the {api}, or the one that wire_api names.",
        info="badRequest",
        status=status,
    )


def unreachable(provider: Provider, why: str) -> ModelBusy:
    """Return the error for a connection that could not be made.

    Args:
        provider: who was to be reached.
        why: the chain of causes as the HTTP client tells it.
    """
    where = f"{provider.name} cannot be reached at {provider.base_url}"
    lower = why.lower()
    if "dns error" in lower:
        return ModelBusy(f"{where}: no such host. Check base_url and the network.")
    if "certificate" in lower:
        cause = plain(why).rpartition("invalid peer certificate: ")[2]
        return ModelBusy(
            f"{where}: its certificate is not trusted ({cause}). If a proxy replaces certificates,"
            " name its CA file in SSL_CERT_FILE."
        )
    if "proxy" in lower or "tunnel" in lower:
        return ModelBusy(f"{where}: the proxy refuses ({plain(why)}). Check HTTPS_PROXY, NO_PROXY.")
    if "sendrequest" in lower:
        return ModelBusy(
            f"{provider.name} closed the connection before it answered.",
            info="responseStreamConnectionFailed",
        )
    cause = plain(why).rpartition(": ")[2].partition(" (os error")[0].lower() or "no connection"
    local = is_loopback(provider.base_url)
    advice = "Is the server running?" if local else "Check base_url and the network."
    return ModelBusy(f"{where}: {cause}. {advice}")


def failed(provider: Provider, model: str, fault: Fault) -> ModelError:
    """Return the error for an answer that the provider itself ended as failed."""
    said = _quote(fault)
    who = provider.name
    if _is_too_long(fault):
        return context_too_long(who, said, None)
    if fault.names(_QUOTA):
        return _out_of_quota(who, said, None)
    if fault.code == "model_not_found":
        return model_not_found(provider, model, said, None)
    if "unexpected endpoint or method" in fault.message.lower():
        # LM Studio says so with status 200.
        return ModelError(f"{who} has no such API{said}", info="badRequest", status=404)
    if fault.code.isdigit() and (int(fault.code) in _RETRIED or int(fault.code) >= 500):
        busy = _busy(who, said, int(fault.code), retry_after_s({}, fault.message))
        return StreamCut(str(busy), retry_after_s=busy.retry_after_s, info=busy.info)
    info = _CUT_INFO.get(fault.code) or _CUT_INFO.get(fault.kind)
    if info is not None:
        return StreamCut(
            f"{who} broke the answer off ({fault.code or fault.kind}){said}",
            retry_after_s=retry_after_s({}, fault.message),
            info=info,
        )
    code = f" ({plain(fault.code)})" if fault.code else ""
    info = "badRequest" if fault.code == "invalid_prompt" else "other"
    return ModelError(f"{who} could not answer{code}{said}", info=info)


_CUT_INFO = {
    "rate_limit_exceeded": "rateLimitExceeded",
    "server_is_overloaded": "serverOverloaded",
    "slow_down": "serverOverloaded",
    "overloaded_error": "serverOverloaded",
    "rate_limit_error": "rateLimitExceeded",
    "api_error": "internalServerError",
    "timeout_error": "internalServerError",
    "server_error": "internalServerError",
    "internal_error": "internalServerError",
    "internal_server_error": "internalServerError",
}


def incomplete(provider: Provider, reason: str) -> ModelError:
    """Return the error for an answer that the provider ended before its end."""
    who = provider.name
    if reason == "max_output_tokens":
        return OutputLimit(
            f"{who} stopped the answer at its limit of output tokens.",
            hint="Ask for less at once, or lower the reasoning effort.",
        )
    if reason == "refusal":
        return ModelError(
            f"{who} declines to answer this.",
            hint="Rephrase what was asked, or choose another model.",
        )
    if reason == "content_filter":
        return ModelError(
            f"{who} stopped the answer with its content filter.",
            hint="Rephrase what was asked, or leave out what it may object to.",
        )
    return ModelError(
        f"{who} left the answer incomplete ({plain(reason) or 'no reason given'}).",
        hint="Ask again, or choose another model.",
    )


def context_too_long(who: str, said: str, status: int | None) -> ModelError:
    """Return the error for a thread that outgrew the model."""
    return ModelError(
        f"The thread is longer than the model's context window, says {who}{said}",
        hint="Start a new thread, or choose a model with a larger window.",
        info="contextWindowExceeded",
        status=status,
    )


def model_not_found(provider: Provider, model: str, said: str, status: int | None) -> ModelError:
    """Return the error for a model that the provider does not serve."""
    hint = "Choose another with -m, or `model` in the configuration."
    if provider.id == "ollama":
        hint = f"Get it with `ollama pull {model}`, or choose another with -m."
    return ModelError(
        f"{provider.name} has no model {model!r} for this key{said}"
        if provider.api_key
        else f"{provider.name} has no model {model!r}{said}",
        hint=hint,
        info="modelNotFound",
        status=status,
    )


def retry_after_s(headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds a provider asks us to wait, from its headers or its words."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            wait_s = float(value) * unit_s
        except ValueError:
            continue
        if 0 <= wait_s < 1e9:
            return wait_s
    date = headers.get("retry-after", "")
    if date:
        return _seconds_until(date)
    asked = _AGAIN.search(message)
    if asked is None:
        return None
    spans = _SPAN.findall(asked[1])
    return sum(float(count) * _UNIT_S[unit.lower()] for count, unit in spans) if spans else None


def _seconds_until(date: str) -> float | None:
    """Return the seconds until an HTTP date; None if it is none."""
    import time
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _busy(who: str, said: str, status: int, wait_s: float | None) -> ModelBusy:
    if status == 429:
        message, info = f"{who} asks us to slow down (HTTP 429){said}", "rateLimitExceeded"
    elif status in (503, 529):
        message, info = f"{who} is overloaded (HTTP {status}){said}", "serverOverloaded"
    else:
        message, info = f"{who} has a fault of its own (HTTP {status}){said}", "internalServerError"
    return ModelBusy(message, retry_after_s=wait_s, info=info, status=status)


def _out_of_quota(who: str, said: str, status: int | None) -> ModelError:
    return ModelError(
        f"The usage limit at {who} is reached{said}",
        hint="Wait until it is renewed, raise it, or choose another provider.",
        info="usageLimitExceeded",
        status=status,
    )


def _is_too_long(fault: Fault) -> bool:
    return fault.names(_CONTEXT_CODES) or bool(_CONTEXT_TEXT.search(fault.message))


def _quote(fault: Fault) -> str:
    """Return the end of a sentence: what the provider said, if it said anything."""
    said = fault.message.rstrip()
    stop = "" if said.endswith((".", "!", "?", "…")) else "."
    return f": {said}{stop}" if said else stop


def _word(value: object) -> str:
    return plain(str(value))[:80] if isinstance(value, str | int) else ""
