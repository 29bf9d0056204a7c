"""Methods by which a client runs a command of its own in the sandbox, apart from any thread.

Names and shapes are the app-server's v2 (Codex 0.169).
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Annotated

import msgspec

from octavo.protocol.methods import Method, Nothing, SandboxPolicy

Cells = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class TerminalSize(_Wire, frozen=True):
    """In character cells."""

    rows: Cells
    cols: Cells


class CommandExecParams(_Wire, frozen=True):
    """A command, answered when it has ended.

    Attributes:
        command: the program and its arguments; no shell reads them.
        cwd: where it runs, and its workspace; the server's by default.
        env: laid over the environment that the settings give commands; null takes a name out.
        process_id: names it in other requests of this connection; needed for `tty` and streams.
        sandbox_policy: instead of the settings'.
        tty: it has a terminal of `size`, written to and read in streams.
        timeout_ms: 10,000 by default; then it is killed, and its exit code is 124.
        output_bytes_cap: of each stream, 1 MiB by default; what is more is left out.
    """

    command: tuple[str, ...]
    cwd: str | None = None
    env: dict[str, str | None] | None = None
    process_id: str | None = None
    sandbox_policy: SandboxPolicy | None = None
    tty: bool | None = None
    size: TerminalSize | None = None
    stream_stdin: bool | None = None
    stream_stdout_stderr: bool | None = None
    timeout_ms: Count | None = None
    disable_timeout: bool | None = None
    output_bytes_cap: Count | None = None
    disable_output_cap: bool | None = None


class CommandExecResult(_Wire, frozen=True):
    """What was not streamed of its output. `exit_code` is 128+n when signal n ended it."""

    exit_code: int
    stdout: str
    stderr: str


class CommandExecWriteParams(_Wire, frozen=True):
    process_id: str
    delta_base64: str | None = None
    close_stdin: bool | None = None


class CommandExecResizeParams(_Wire, frozen=True):
    process_id: str
    size: TerminalSize


class CommandExecTerminateParams(_Wire, frozen=True):
    process_id: str


COMMAND_EXEC = Method("command/exec", CommandExecParams, CommandExecResult)
COMMAND_WRITE = Method("command/exec/write", CommandExecWriteParams, Nothing)
COMMAND_RESIZE = Method("command/exec/resize", CommandExecResizeParams, Nothing)
COMMAND_TERMINATE = Method("command/exec/terminate", CommandExecTerminateParams, Nothing)
