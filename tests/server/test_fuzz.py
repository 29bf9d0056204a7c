"""Whatever a client sends, it gets a JSON-RPC answer, and the server goes on.

Frames are bytes of any kind; calls are every method of the protocol, with parameters that are made
from their types and then spoilt here and there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import msgspec.inspect as look
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from octavo.protocol import schema
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, NO_METHOD, PARSE, LinkClosed
from octavo.rpc.memory import memory_pair
from octavo.rpc.stream import LineDecoder
from octavo.server.server import Launch, serving
from tests.sampling import sample
from tests.server.programs import HELLO

ORDERLY = {PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMS}
THREAD = "@thread"
CALLS_EACH = sample(100, 25)

WORDS = st.one_of(
    st.sampled_from(
        [THREAD, "", "\0", "../..", "/no/such", "~", "x" * 5000, "ü\x1b[2J", "1", "-1"]
    ),
    st.text(max_size=8),
)
ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), WORDS
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def fitting(kind: look.Type) -> st.SearchStrategy[Any]:
    """Values of a type, as JSON has them."""
    match kind:
        case look.StructType():
            tag = {} if kind.tag_field is None else {kind.tag_field: st.just(kind.tag)}
            fields = {field.encode_name: spoilt(field.type) for field in kind.fields}
            needed = {field.encode_name for field in kind.fields if field.required}
            return st.fixed_dictionaries(
                {**tag, **{name: fields[name] for name in needed}},
                optional={name: f for name, f in fields.items() if name not in needed},
            )
        case look.UnionType():
            return st.one_of(*map(fitting, kind.types))
        case look.LiteralType():
            return st.sampled_from(kind.values)
        case look.VarTupleType() | look.ListType():
            return st.lists(fitting(kind.item_type), max_size=3)
        case look.DictType():
            return st.dictionaries(WORDS, fitting(kind.value_type), max_size=3)
        case look.StrType():
            return WORDS
        case look.IntType():
            return st.integers(-3, 2**33)
        case look.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case look.BoolType():
            return st.booleans()
        case look.NoneType():
            return st.none()
        case _:
            return ANYTHING


def spoilt(kind: look.Type) -> st.SearchStrategy[Any]:
    """The same, with one in eight or so replaced by anything."""
    return st.integers(0, 7).flatmap(lambda n: ANYTHING if n == 0 else fitting(kind))


def call(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    params = spoilt(look.type_info(schema.client_requests()[name].params))
    return st.tuples(st.just(name), params)


CALLS = st.lists(
    st.sampled_from(sorted(schema.client_requests())).flatmap(call),
    min_size=CALLS_EACH,
    max_size=CALLS_EACH,
)


@given(st.lists(st.one_of(st.binary(max_size=50), ANYTHING.map(msgspec.json.encode)), max_size=20))
@settings(max_examples=sample(20_000, 100))
def test_any_bytes_are_cut_into_lines_and_lose_none(lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b" ") for line in lines]
    decoder = LineDecoder()
    found = decoder.feed(b"\n".join(lines)) + decoder.end()
    assert found == [line.strip() for line in lines if line.strip()]


@given(CALLS)
@settings(
    max_examples=sample(100_000 // CALLS_EACH, 12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes too long to shrink
)
@pytest.mark.timeout(sample(7200, 120))
def test_every_call_is_answered_and_never_by_accident(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, Any]]
) -> None:
    monkeypatch.chdir(workspace)
    anyio.run(_answered, workspace, calls)


async def _answered(workspace: Path, calls: list[tuple[str, Any]]) -> None:
    launch = Launch(
        env={"HOME": str(workspace.parent), "OCTAVO_HOME": str(workspace.parent / "octavo-home")},
        overrides=(
            'model_providers.trial={name="trial",base_url="http://127.0.0.1:9/v1"}',
            'model_provider="trial"',
            'model="scripted"',
            'cli_auth_credentials_store="file"',
        ),
    )
    async with serving(launch) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        answers: dict[Any, Any] = {}

        async def send(number: int, method: str, params: Any) -> None:
            await ours.send(msgspec.json.encode({"id": number, "method": method, "params": params}))

        async def until(count: int) -> None:
            with anyio.fail_after(60):
                while len(answers) < count:
                    try:
                        message = msgspec.json.decode(await ours.receive())
                    except LinkClosed:
                        raise AssertionError("the server hung up") from None
                    if "method" not in message:
                        assert message["id"] not in answers
                        answers[message["id"]] = message

        await send(-2, "initialize", HELLO)
        await send(-1, "thread/start", {"cwd": str(workspace), "ephemeral": True})
        await until(2)
        thread_id = answers[-1]["result"]["thread"]["id"]
        for number, (method, params) in enumerate(calls):
            filled = msgspec.json.encode(params).replace(THREAD.encode(), thread_id.encode())
            await send(number, method, msgspec.Raw(filled))
        await until(len(calls) + 2)
        for number, (method, params) in enumerate(calls):
            error = answers[number].get("error")
            assert error is None or error["code"] in ORDERLY, (method, params, error)
            assert error is None or error["message"]
        ours.close()
        group.cancel_scope.cancel()
