"""A server whose API was not named: Responses, and Chat Completions where there is none.

Which it is shows at the first request: a server without the Responses API says that there is no
such address. Then the same prompt is asked again of the other, and so is everything after it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from octavo.model import Chunk, Model, Prompt, Provider
from octavo.model.providers.responses import Responses
from octavo.protocol.errors import ModelError

_ABSENT = frozenset({404, 405, 501})


class Either:
    """A model behind a server that speaks one of the two."""

    def __init__(self, provider: Provider, notice: Callable[[str], None]) -> None:
        """Get ready to ask `provider`; nothing is sent yet.

        Args:
            provider: where and how.
            notice: told what a person should know.

        Raises:
            ConfigError: see `Exchange`.
        """
        self._provider = provider
        self._notice = notice
        self._model: Model = Responses(provider)
        self._known = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`."""
        absent: ModelError | None = None
        try:
            async with aclosing(self._model.stream(prompt)) as chunks:
                async for chunk in chunks:
                    self._known = True
                    yield chunk
            return
        except ModelError as error:
            if self._known or not _says_absent(error):
                raise
            absent = error
        from octavo.model.providers.chat import Chat  # few servers lack the other

        chat = Chat(self._provider)
        try:
            async with aclosing(chat.stream(prompt)) as chunks:
                async for chunk in chunks:
                    self._keep(chat)
                    yield chunk
        except ModelError as error:
            if _says_absent(error):
                raise absent from error
            self._keep(chat)
            raise

    def _keep(self, chat: Model) -> None:
        if not self._known:
            self._known, self._model = True, chat
            self._notice(
                f"{self._provider.name} has no Responses API; Chat Completions are used instead. "
                f'wire_api = "chat" under [model_providers.{self._provider.id}] says so at once.'
            )


def _says_absent(error: ModelError) -> bool:
    return error.status in _ABSENT and error.info == "badRequest"
