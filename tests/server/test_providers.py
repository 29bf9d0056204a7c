"""Where models can be reached, as a client is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from octavo.protocol import methods as m
from octavo.protocol import providers as p
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio


async def test_providers_are_listed_with_the_default_first_and_no_secret(workspace: Path) -> None:
    overrides = [
        'model_providers.own={name="Own",base_url="https://me:hunter2@own.example/v1?key=abc",'
        'env_key="OWN_KEY",wire_api="chat"}',
        'model_providers.other={base_url="https://other.example/v1",'
        'experimental_bearer_token="sk-other"}',
    ]
    async with playing([], workspace, overrides=overrides, start=False) as play:
        listed = await play.client.call(p.MODEL_PROVIDERS, m.Nothing())

    found = {one.id: one for one in listed.data}
    assert listed.default_provider_id == listed.data[0].id == "trial"
    assert {"openai", "anthropic", "ollama", "own", "other"} < found.keys()
    assert found["own"] == p.ModelProvider(
        id="own",
        name="Own",
        base_url="https://own.example/v1",
        settings=p.ProviderSettings(
            "customGateway", p.ProviderAuth("environmentVariable", "OWN_KEY")
        ),
        octavo_wire_api="chat",
    )
    assert found["other"].settings.auth == p.ProviderAuth("externallyConfigured", None)
    told = msgspec.json.encode(listed)
    assert not [secret for secret in (b"hunter2", b"abc", b"sk-other") if secret in told]
