"""Does a provider answer? One request that asks for nothing and costs nothing."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from octavo import __version__
from octavo.model import Provider
from octavo.model.http import open_transport
from octavo.protocol.errors import ConfigError, ModelBusy

TIMEOUT_S = 10.0


async def probe(provider: Provider, env: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> int:
    """Ask for the provider's list of models and return the answer's HTTP status, whatever it is.

    Raises:
        ModelBusy: no answer came; says why.
        ConfigError: no request can be made with these settings.
    """
    from pyqwest import Client, ReadError, RemoteProtocolError, WriteError

    headers = {"user-agent": f"octavo/{__version__}", **provider.credentials()}
    headers |= {name.lower(): value for name, value in provider.http_headers.items()}
    transport = open_transport(provider.base_url, env, idle_timeout_s=timeout_s)
    try:
        with anyio.fail_after(timeout_s):
            async with Client(transport).stream(
                "GET",
                f"{provider.base_url}/models",
                headers=headers,
                params=list(provider.query_params.items()) or None,
            ) as response:
                return response.status
    except ValueError:
        raise ConfigError(  # the reason would quote the header, and that may be the key
            f"Requests to {provider.name} cannot be made with these settings.",
            hint="Check base_url, the headers and the key of the provider.",
        ) from None
    except TimeoutError as error:
        if isinstance(error, ConnectionError):
            raise _unreachable(provider, error) from error
        raise ModelBusy(f"{provider.name} did not answer for {timeout_s:g} s.") from None
    except (OSError, ReadError, RemoteProtocolError, WriteError) as error:
        raise _unreachable(provider, error) from error


def _unreachable(provider: Provider, error: Exception) -> ModelBusy:
    from octavo.model.faults import unreachable

    return unreachable(provider, str(error))
