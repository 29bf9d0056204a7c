"""`octavo config set` and `unset`: the person's own settings, changed through a server."""

from __future__ import annotations

from octavo.cli.asking import ask
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.protocol import settings as s


def set_value(key: str, written: str) -> int:
    """Set `key` to what `written` says, read as `-c` reads it."""
    from octavo.config.overrides import parse_value

    value = parse_value(written.strip())
    if isinstance(value, float) and value - value != 0:
        raise UsageError(f"{key}: {written} is no value that a setting has.")
    done = ask(lambda client: _write(client, key, value))
    _print(f"{key} is set in {done.file_path}.", done)
    return 0


def unset(key: str) -> int:
    """Take `key` out of the person's file; that it is not there is said and no error."""

    async def take_out(client: Client) -> s.ConfigWriteResult | str:
        from octavo.protocol import settings as s

        read = s.ConfigReadParams(include_layers=True)
        layers = (await client.call(s.CONFIG_READ, read)).layers or ()
        own = next(layer for layer in layers if layer.name.type_ == "user")
        if _is_set(own.config, key):
            return await _write(client, key, None, own.version)
        return own.name.file or ""

    done = ask(take_out)
    if isinstance(done, str):
        print(f"{key} is not set in {done}.")
        return 0
    _print(f"{key} is no longer set in {done.file_path}.", done)
    return 0


async def _write(
    client: Client, key: str, value: object, expected: str | None = None
) -> s.ConfigWriteResult:
    from octavo.protocol import settings as s

    params = s.ConfigValueWriteParams(key, value, "replace", expected_version=expected)
    return await client.call(s.CONFIG_VALUE_WRITE, params)


def _is_set(table: object, key: str) -> bool:
    from octavo.config.keys import parse_key

    for name in parse_key(key):
        if not isinstance(table, dict) or name not in table:
            return False
        table = table[name]
    return True


def _print(said: str, done: s.ConfigWriteResult) -> None:
    print(said)
    if done.overridden_metadata is not None:
        print(done.overridden_metadata.message)
