"""How providers are reached: one HTTP transport, set up for streams that must end when told.

Proxies come from the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) and are never
used for the loopback interface. Certificates are those of the system, or of SSL_CERT_FILE where
that is set. Redirects are not followed: a prompt goes to the address that was configured or
nowhere.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Literal

from pyqwest import HTTPTransport, Proxy

from octavo.late import call_late
from octavo.protocol.errors import ConfigError

CONNECT_TIMEOUT_S = 15.0
_EXIT_WAIT_S = 0.02


def open_transport(
    base_url: str, env: Mapping[str, str], *, idle_timeout_s: float
) -> HTTPTransport:
    """Return a transport for requests to `base_url`. No connection is made yet.

    Args:
        base_url: where the requests will go; says whether certificates and proxies are needed.
        env: where SSL_CERT_FILE is looked up. Proxies are read from the process itself.
        idle_timeout_s: a read fails after so many seconds without a byte.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    local = is_loopback(base_url)
    certificates = None
    if not (local and base_url.startswith("http:")):
        certificates = _certificates(env)
    # An explicit proxy turns those of the environment off, and this one takes no request.
    other: Literal["http", "https"] = "https" if base_url.startswith("http:") else "http"
    proxy = Proxy("http://127.0.0.1:9", scheme=other) if local else None

    def build() -> HTTPTransport:
        return HTTPTransport(
            tls_ca_cert=certificates or None,
            tls_include_system_certs=certificates == b"",
            proxy=proxy,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=idle_timeout_s,
            enable_gzip=False,  # compressors hold events back
            enable_brotli=False,
            enable_zstd=False,
            follow_redirects=False,
            enable_otel=False,
        )

    # Registering anew moves nothing and waits once.
    atexit.unregister(_let_workers_leave)
    atexit.register(_let_workers_leave)
    try:
        return call_late(lambda: _without_tracing(build))  # it asks for json, and for a logger
    except RuntimeError as error:
        raise ConfigError(
            f"The certificates to verify providers with cannot be used: {error}.",
            hint="Check the file that SSL_CERT_FILE names.",
        ) from error


def is_loopback(url: str) -> bool:
    """Say whether `url` points at this machine by its loopback name or address."""
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if authority.startswith("["):
        return authority.partition("]")[0] == "[::1"
    host = authority.partition(":")[0].lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return host.startswith("127.") and host.replace(".", "").isdigit()


def _let_workers_leave() -> None:
    """Wait a moment before the interpreter is taken down.

    The HTTP client's threads wake the event loop through the interpreter. One that is on its way
    out of it when the interpreter goes away makes the process abort, after all is done and with
    the wrong exit status; this happened in three of a hundred runs that ended with a request cut.
    A program that ends with `os._exit` neither waits here nor needs to.
    """
    time.sleep(_EXIT_WAIT_S)


def _certificates(env: Mapping[str, str]) -> bytes:
    """Return the PEM text of SSL_CERT_FILE; empty for the system's certificates."""
    path = env.get("SSL_CERT_FILE", "")
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(
            f"SSL_CERT_FILE names {path}, which cannot be read: {error.strerror}.",
            hint="Correct it, or unset it to use the system's certificates.",
        ) from error
    if b"CERTIFICATE-----" not in text:
        raise ConfigError(
            f"SSL_CERT_FILE names {path}, which holds no certificate in PEM form.",
            hint="Correct it, or unset it to use the system's certificates.",
        )
    return text


def _without_tracing(build: Callable[[], HTTPTransport]) -> HTTPTransport:
    """Return `build()`, made without importing OpenTelemetry.

    pyqwest looks its functions up while the first transport of a process is made, also when
    tracing is off; importing them takes about 20 ms and 3 MB, a quarter of octavo's start. So for
    the length of that call they are names that mean nothing. If it no longer works like that, the
    real ones are imported.
    """
    names = ("", ".metrics", ".propagate", ".trace")
    modules = [_Absent(f"opentelemetry{name}") for name in names]
    if any(name in sys.modules for name in ("opentelemetry", "opentelemetry.trace")):
        return build()
    sys.modules.update({module.__name__: module for module in modules})
    try:
        return build()
    except (AttributeError, ImportError):
        pass
    finally:
        for module in modules:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]
    return build()


class _Absent(ModuleType):
    """A module whose every public name stands for nothing."""

    def __getattr__(self, name: str) -> type[_Absent]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent

    CLIENT = None
    """Of `SpanKind`, the one name that is looked into."""
