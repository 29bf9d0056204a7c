"""The errors octavo raises on purpose.

    OctavoError                 shown to a person, with a code a program can match
    ├── UsageError              the command line or a request's parameters are wrong
    ├── ConfigError             a setting is missing or wrong
    ├── StoreError              a thread's log could not be read or written
    │   ├── ThreadBusy          ... because another process writes to it
    │   └── Unstorable          ... because an event holds what no log can
    ├── ModelError              the provider could not answer
    │   ├── ModelBusy           ... and it is worth asking again
    │   ├── StreamCut           ... the answer broke off; worth asking again
    │   ├── OutputLimit         ... because the answer grew to its limit
    │   └── BudgetSpent         ... because it may cost no more; nothing was asked
    └── SandboxError            the policy could not be applied; nothing was run

Three things are not here. A tool that fails is not an error: it is an output the model reads
(raise `tools.ToolFailed` to make one). An interrupt is a cancellation, not an exception of ours.
Anything else that escapes is a bug, and is left to crash its turn loudly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from octavo.protocol.usage import Usage


class OctavoError(Exception):
    """Shown to a person: `str(error)` is one or two sentences, `hint` says what to do next."""

    code: ClassVar[str] = "octavo"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.hint}" if self.hint else message


class UsageError(OctavoError):
    """What was asked for makes no sense; nothing was done."""

    code = "usage"


class ConfigError(OctavoError):
    """A setting is missing or wrong."""

    code = "config"


class StoreError(OctavoError):
    """A thread's log could not be read or written."""

    code = "store"


class ThreadBusy(StoreError):
    """Another process holds the thread's lock."""

    code = "store.busy"


class Unstorable(StoreError):
    """An event holds something that is not text. Trying again would not help."""

    code = "store.event"


class ModelError(OctavoError):
    """The provider could not answer, and asking again would not help.

    Attributes:
        info: the app-server's `codexErrorInfo` word, such as "badRequest" or "unauthorized".
        status: HTTP status of the answer, where there was one.
        usage: what the answer cost as far as it came, where the provider said so.
    """

    code = "model"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        info: str = "other",
        status: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.info = info
        self.status = status
        self.usage: Usage | None = None


class OutputLimit(ModelError):
    """The answer was ended because it had as many tokens as one may have."""

    code = "model.output_limit"


class BudgetSpent(ModelError):
    """The request could cost more than what is left, so it was not made.

    The turn ends in an orderly way and can be gone on with.
    """

    code = "budget"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, info="sessionBudgetExceeded")


class ModelBusy(ModelError):
    """Raised only before the first chunk, so asking again repeats nothing.

    Attributes:
        retry_after_s: seconds the provider asked us to wait; None if it did not say.
    """

    code = "model.busy"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        info: str = "httpConnectionFailed",
        status: int | None = None,
    ) -> None:
        super().__init__(message, info=info, status=status)
        self.retry_after_s = retry_after_s


class StreamCut(ModelBusy):
    """The answer broke off after it began: closed, idle, malformed, or failed by the provider.

    What had been finished before stays valid; what was unfinished is void.
    """

    code = "model.stream_cut"


class SandboxError(OctavoError):
    """The policy could not be applied. Nothing was run."""

    code = "sandbox"
