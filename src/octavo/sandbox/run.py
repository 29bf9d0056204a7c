"""A confined command from start to end, for what octavo itself runs: git, a login shell."""

from __future__ import annotations

import anyio

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Exit, Sandbox


async def run_caged(
    sandbox: Sandbox, command: Command, *, timeout_s: float, limit_bytes: int
) -> tuple[Exit, bytes]:
    """Run `command` and return how it ended and the first `limit_bytes` of its output.

    A non-zero exit is a result, not an error. Nothing the command started is left when this
    returns, is cancelled, or raises.

    Raises:
        SandboxError: it could not be started, or did not end within `timeout_s`.
    """
    process = await sandbox.spawn(command)
    kept = bytearray()

    async def read() -> None:
        while data := await process.read():
            kept.extend(data[: limit_bytes - len(kept)])

    try:
        with anyio.fail_after(timeout_s):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                ended = await process.wait()
    except TimeoutError:
        name = command.argv[0]
        raise SandboxError(f"{name} did not end within {timeout_s:g} s.") from None
    finally:
        await process.kill()
    return ended, bytes(kept)
