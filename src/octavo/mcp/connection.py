"""One server that runs: its host in its cage, and the frames to and from there.

Nothing that is read here is believed: a frame has a bounded size, its form is checked, and what
never comes is waited for only so long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import msgspec

import octavo
from octavo import __version__
from octavo.mcp import words as w
from octavo.mcp.deadlines import Deadlines
from octavo.protocol.errors import OctavoError
from octavo.protocol.ids import new_id
from octavo.protocol.visible import visible_line
from octavo.rpc import LinkClosed, RpcError
from octavo.rpc.peer import Peer, decode_params
from octavo.rpc.stream import LineDecoder, StreamLink
from octavo.sandbox import Command, Process, Sandbox
from octavo.sandbox.process import Output

T = TypeVar("T")

LATE_S = 2.0
"""How much longer than its host a server is waited for: the host is believed to be hostile, too."""
_LOG_BYTES = 4096
_SHOWN_LINES = 3
_LINES_A_READ = 50
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); from octavo.mcp.client_only import main; main()"
)


class ServerFailed(OctavoError):
    """A server did not do what it should; the text is a sentence for people and models.

    Attributes:
        unsure: what was asked may have had its effect all the same.
        needs_login: a person has to log in first.
    """

    code = "mcp.server"

    def __init__(self, message: str, *, unsure: bool = False, needs_login: bool = False) -> None:
        super().__init__(message)
        self.unsure = unsure
        self.needs_login = needs_login


class Ears(msgspec.Struct, frozen=True):
    """Who hears what a server says unasked."""

    elicit: Callable[[w.ElicitParams], Awaitable[w.ElicitResult]]
    changed: Callable[[str], None]
    log: Callable[[str, str], None]
    token: Callable[[str], Awaitable[str | None]]


class Connection:
    """A server that answers. Made by `connected`.

    Attributes:
        said: what it says of itself.
        gone: set when it is not there any more.
    """

    def __init__(self, name: str, link: _Wary, ears: Ears) -> None:
        self.name = name
        self.said = w.Connected()
        self.gone = anyio.Event()
        self._ears = ears
        self._link = link
        self._log = bytearray()
        self._deadlines = Deadlines()
        self._progress: dict[str, Callable[[str], None]] = {}
        self._peer = Peer(
            link,
            self._on_request,
            self._on_notification,
            unasked_bytes=w.UNASKED_LIMIT_BYTES,
        )

    async def connect(self, to: w.Stdio | w.Http, timeout_s: float, *, elicits: bool) -> None:
        """Begin. Raises ServerFailed."""
        asked = w.Connect(to, __version__, timeout_s, elicits)
        self.said = await self._ask(w.CONNECT, asked, w.Connected, timeout_s, "could not start")

    async def list(
        self, what: Literal["tools", "resources", "templates", "prompts"], timeout_s: float
    ) -> w.Listed:
        """Return all there is of a kind. Raises ServerFailed."""
        asked = w.ListParams(what, timeout_s)
        failed = f"did not say which {what} it has"
        listed = await self._ask(w.LIST, asked, w.Listed, timeout_s, failed)
        left_out = None if listed.left_out is None else listed.left_out[: w.TEXT_CHARACTERS]
        return w.Listed(listed.found[: w.TOOLS_LIMIT], left_out)

    async def read(self, uri: str, timeout_s: float) -> w.ReadResult:
        """Return what a resource holds. Raises ServerFailed."""
        asked = w.ReadParams(uri, timeout_s)
        return await self._ask(w.READ, asked, w.ReadResult, timeout_s, f"did not give {uri!r}")

    async def prompt(
        self, name: str, arguments: dict[str, str], timeout_s: float
    ) -> w.PromptResult:
        """Return a prompt, filled in. Raises ServerFailed."""
        asked = w.PromptParams(name, arguments, timeout_s)
        failed = f"did not give the prompt {visible_line(name)}"
        return await self._ask(w.PROMPT, asked, w.PromptResult, timeout_s, failed)

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        timeout_s: float,
        on_progress: Callable[[str], None],
    ) -> w.CallResult:
        """Call a tool. Cancelled, the server is told that nobody waits any more.

        Raises:
            ServerFailed: there is no result.
        """
        call = new_id()
        asked = w.CallParams(call, tool, arguments, timeout_s)
        self._progress[call] = on_progress
        failed = f"did not carry out {visible_line(tool)}"
        try:
            return await self._ask(w.CALL, asked, w.CallResult, timeout_s, failed, unsure=True)
        except (anyio.get_cancelled_exc_class(), ServerFailed):
            with anyio.CancelScope(shield=True), anyio.move_on_after(LATE_S):
                await self._tell(w.CANCEL, w.CancelParams(call))
            raise
        finally:
            del self._progress[call]

    async def run(self) -> None:
        """Serve the link until the server is gone."""
        try:
            await self._peer.run()
        finally:
            self.gone.set()

    async def read_log(self, output: Output) -> None:
        """Keep the last of what the server prints beside its messages, and pass on the lines."""
        lines = LineDecoder(_LOG_BYTES)
        while data := await output.read():
            self._log += data
            del self._log[:-_LOG_BYTES]
            for line in lines.feed(data[-_LOG_BYTES:])[-_LINES_A_READ:]:  # more would take time
                text = "(a line too long)" if line is None else line.decode("utf-8", "replace")
                if text.strip():
                    self._ears.log("printed", visible_line(text.rstrip()))

    @property
    def last_words(self) -> str:
        """The last lines that the server printed, as the end of a sentence; "" without any."""
        text = self._log.decode("utf-8", "replace")
        lines = [visible_line(line)[:300] for line in text.splitlines() if line.strip()]
        return f" It printed last: {' / '.join(lines[-_SHOWN_LINES:])}" if lines else ""

    async def _ask(
        self,
        method: str,
        params: Any,
        kind: type[T],
        timeout_s: float,
        failed: str,
        *,
        unsure: bool = False,
    ) -> T:
        who = f"MCP server {self.name}"
        try:
            with self._deadlines.within(timeout_s + LATE_S):
                return await self._peer.request(method, params, kind)
        except RpcError as refusal:
            if refusal.code == w.NEEDS_LOGIN:
                raise ServerFailed(needs_login(self.name), needs_login=True) from None
            said_no = refusal.code == w.SERVER_SAID_NO
            why = visible_line(refusal.message[: w.TEXT_CHARACTERS]).rstrip(".")
            tail = "" if said_no or method == w.CALL else self.last_words
            raise ServerFailed(
                f"{who} {failed}: {why}.{tail}", unsure=unsure and not said_no
            ) from None
        except TimeoutError:
            why = f"it did not answer within {timeout_s:g} s"
            raise ServerFailed(f"{who} {failed}: {why}.", unsure=unsure) from None
        except LinkClosed:
            raise ServerFailed(
                f"{who} {failed}: it ended.{self._link.fault or self.last_words}", unsure=unsure
            ) from None
        except (msgspec.DecodeError, RecursionError):
            why = "its answer is not what MCP says"
            raise ServerFailed(f"{who} {failed}: {why}.", unsure=unsure) from None

    async def _tell(self, method: str, params: Any) -> None:
        try:
            await self._peer.notify(method, params)
        except LinkClosed:
            return

    async def _on_request(self, method: str, params: bytes) -> Any:
        if method == w.TOKEN:
            refused = decode_params(params, w.TokenParams).refused
            with self._deadlines.paused():
                return w.Token(await self._ears.token(refused))
        if method != w.ELICIT:
            raise RpcError(w.BROKEN, "nothing else is asked here")
        asked = decode_params(params, w.ElicitParams)
        with self._deadlines.paused():
            return await self._ears.elicit(asked)

    async def _on_notification(self, method: str, params: bytes) -> None:
        try:
            match method:
                case w.CHANGED:
                    self._ears.changed(decode_params(params, w.ChangedParams).what)
                case w.PROGRESS:
                    told = decode_params(params, w.ProgressParams)
                    on_progress = self._progress.get(told.call)
                    if on_progress is not None:
                        on_progress(visible_line(told.text[: w.TEXT_CHARACTERS]))
                case w.LOG:
                    line = decode_params(params, w.LogParams)
                    self._ears.log(line.level[:20], visible_line(line.text[: w.TEXT_CHARACTERS]))
                case _:
                    return
        except RpcError:  # hostile, or just wrong
            return


def needs_login(server: str) -> str:
    """Return what is said of a server that wants a login, to a person and to a model."""
    return f"MCP server {server} needs login: octavo mcp login {server}."


@asynccontextmanager
async def connected(
    name: str,
    to: w.Stdio | w.Http,
    sandbox: Sandbox,
    ears: Ears,
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    elicits: bool,
) -> AsyncIterator[Connection]:
    """Start a server in its cage and yield it once it has answered; all of it is gone at the end.

    Args:
        sandbox: the cage.
        cwd, env: of the host; the server's own are in `to`.
        timeout_s: how long it may take to answer.

    Raises:
        ServerFailed: it could not be started, or did not answer.
        SandboxError: there is no cage for it.
    """
    inner_in, ours_in = os.pipe()
    ours_out, inner_out = os.pipe()
    ours_err, inner_err = os.pipe()
    theirs = (inner_in, inner_out, inner_err)
    log = Output(ours_err, is_terminal=False)
    os.set_blocking(ours_out, False)
    link = _Wary(ours_out, ours_in)
    process: Process | None = None
    try:
        try:
            argv = (sys.executable, "-I", "-c", _PROGRAM, _place())
            process = await sandbox.spawn(Command(argv, cwd, env, stdio=theirs))
        finally:
            for fd in theirs:
                os.close(fd)
        connection = Connection(name, link, ears)
        failure: ServerFailed | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run)
            group.start_soon(connection.read_log, log)
            try:
                await connection.connect(to, timeout_s, elicits=elicits)
            except ServerFailed as error:  # out of here it would come in a group
                failure = error
            else:
                yield connection
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        link.close()
        if process is not None:
            await process.kill()
        log.close()
        for fd in (ours_in, ours_out):
            anyio.notify_closing(fd)
            os.close(fd)


class _Wary(StreamLink):
    """A link that ends with a frame that is made to fill memory."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__(into, out, limit_bytes=w.FRAME_LIMIT_BYTES)
        self.fault = ""

    async def receive(self) -> bytes:
        frame = await super().receive()
        if _values(frame) > w.VALUES_LIMIT and _values(_without_texts(frame)) > w.VALUES_LIMIT:
            self.fault = f" It sent more than {w.VALUES_LIMIT:,} values at once, and was ended."
            raise LinkClosed
        return frame


def _values(raw: bytes) -> int:
    """Return how many values there are in JSON, or more: signs in its texts count as well."""
    return sum(map(raw.count, (b",", b"[", b"{")))


def _without_texts(raw: bytes) -> bytes:
    import re

    return re.sub(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', b"", raw, flags=re.DOTALL)


def _place() -> str:
    """Return the folder that `octavo` is imported from."""
    return str(Path(octavo.__file__).parent.parent)
