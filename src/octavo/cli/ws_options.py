"""`octavo app-server --listen ws://…`: where it listens, and what clients must show.

The options are those of Codex's app-server, but for one thing: without any of them there is still a
token, which octavo makes.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import stat
from pathlib import Path

from octavo.cli.app_server import MODES, WS
from octavo.config.paths import octavo_home, server_token_file, write_private
from octavo.protocol.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from octavo.server.gate import Gate
    from octavo.server.listen_ws import Address

TOKEN, SIGNED = MODES
_LEAST_SECRET_BYTES = 32
_LEAST_TOKEN_CHARACTERS = 16
_LIMIT_BYTES = 8192
_SHA256_BYTES = 32


def read_address(listen: str, *, remote: bool) -> Address:
    """Return where to listen.

    Args:
        remote: whether other machines may connect.

    Raises:
        UsageError: it is no address, or one that needs `remote`.
    """
    host, _, port = listen.removeprefix(WS).rstrip("/").rpartition(":")
    try:
        if not (port.isascii() and port.isdecimal()) or int(port) > 0xFFFF:
            raise ValueError(port)
        address = ipaddress.ip_address(host[1:-1] if host[:1] + host[-1:] == "[]" else host)
    except ValueError:
        raise UsageError(
            f"--listen {listen!r}: this cannot be listened at.",
            hint="Name an address and a port: ws://127.0.0.1:4500. Port 0 is any that is free.",
        ) from None
    if not address.is_loopback and not remote:
        raise UsageError(
            f"--listen {listen}: other machines could connect, and what is said is not encrypted.",
            hint=(
                "Listen at 127.0.0.1 and forward the port (`ssh -L`), or put a server that speaks "
                "TLS before it; or say --ws-allow-remote on a network that you trust."
            ),
        )
    return address, int(port)


def open_gate(args: Namespace, env: Mapping[str, str], say: Callable[[str], None]) -> Gate:
    """Return what decides on who may connect.

    Args:
        say: told where the token is, if it was octavo that chose the place.

    Raises:
        UsageError: the options do not go together, or a file they name cannot be used.
        ConfigError: a token cannot be made.
    """
    from hashlib import sha256

    from octavo.server.bearer import is_signed
    from octavo.server.gate import Gate, holds_token

    signed = [args.ws_shared_secret_file, args.ws_issuer, args.ws_audience]
    signed.append(args.ws_max_clock_skew_seconds)
    has_signed = any(one is not None for one in signed)
    has_token = args.ws_token_file is not None or args.ws_token_sha256 is not None
    mode = args.ws_auth or (SIGNED if has_signed else TOKEN)
    if (mode == TOKEN and has_signed) or (mode == SIGNED and has_token):
        raise UsageError(
            "Options for a token and for signed tokens were both given.",
            hint=f"Choose one: --ws-auth {TOKEN}, or --ws-auth {SIGNED}.",
        )
    if mode == SIGNED:
        if args.ws_shared_secret_file is None:
            raise UsageError(f"--ws-auth {SIGNED} needs --ws-shared-secret-file.")
        secret = _read_secret(Path(args.ws_shared_secret_file), _LEAST_SECRET_BYTES)
        skew_s = args.ws_max_clock_skew_seconds
        check = is_signed(
            secret,
            issuer=args.ws_issuer,
            audience=args.ws_audience,
            skew_s=30 if skew_s is None else skew_s,
        )
        return Gate(check, args.ws_host)
    if args.ws_token_sha256 is not None:
        if args.ws_token_file is not None:
            raise UsageError("--ws-token-file and --ws-token-sha256: give one of them.")
        return Gate(holds_token(_read_digest(args.ws_token_sha256)), args.ws_host)
    if args.ws_token_file is not None:
        token = _read_secret(Path(args.ws_token_file), _LEAST_TOKEN_CHARACTERS)
    else:
        path = server_token_file(octavo_home(env))
        token = _own_token(path)
        say(f"The token that clients must show is in {path}.")
    return Gate(holds_token(sha256(token).digest()), args.ws_host)


def _own_token(path: Path) -> bytes:
    """Return the token of octavo's own, made when it is first needed."""
    if path.is_symlink() or path.exists():
        return _read_secret(path, _LEAST_TOKEN_CHARACTERS)
    token = secrets.token_urlsafe(32).encode()
    write_private(path, token + b"\n")
    return token


def _read_secret(path: Path, least_bytes: int) -> bytes:
    """Return what is in a file that only its owner may read, without spaces around it."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path} is no file.")
            secret = file.read(_LIMIT_BYTES + 1).strip()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {said}.") from None
    if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"{path} can be read or written by others: what is in it is no secret.",
            hint=f"chmod 600 {path}, with something new in it.",
        )
    if not least_bytes <= len(secret) <= _LIMIT_BYTES:
        raise UsageError(
            f"{path} must hold at least {least_bytes} characters, and at most {_LIMIT_BYTES}.",
            hint="`openssl rand -hex 32` prints a good one.",
        )
    return secret


def _read_digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != _SHA256_BYTES:
        raise UsageError("--ws-token-sha256: this is no SHA-256 digest in hexadecimal.")
    return digest
