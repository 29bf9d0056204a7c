"""The variables that tell a cage's programs where the proxy is.

They are a convenience: a program that ignores them meets the captured ports. SOCKS is offered but
not named here, because some HTTP libraries refuse to start when they see it without an extra
package. What is local to the cage is reached directly.
"""

from __future__ import annotations

PROXY_PORT = 3128
SOCKS_PORT = 1080
DNS_PORT = 53

_DIRECT = "localhost,127.0.0.1,::1"


def proxy_environment() -> dict[str, str]:
    """Return what to add to a command's environment, in both spellings that programs read."""
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    named = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy) | {"NO_PROXY": _DIRECT}
    return named | {name.lower(): value for name, value in named.items()}
