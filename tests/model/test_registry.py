"""From a provider's name to a provider, with its key, or a sentence that says what is missing."""

from __future__ import annotations

import msgspec
import pytest

from octavo.config.settings import ProviderConfig
from octavo.model import Provider
from octavo.model.registry import detect_local, resolve
from octavo.protocol.errors import ConfigError
from octavo.trial.scripted import serve

ACME = ProviderConfig(base_url="https://acme.example/v1/", env_key="ACME_KEY")


def test_openai_takes_its_key_from_the_environment_or_from_the_store() -> None:
    def key(env: dict[str, str], stored: str | None = None) -> str | None:
        return resolve("openai", {}, env, stored).api_key

    assert key({"OPENAI_API_KEY": "a", "CODEX_API_KEY": "b"}, "c") == "a"
    assert key({"OPENAI_API_KEY": " ", "CODEX_API_KEY": "b\n"}, "c") == "b"
    assert key({}, "c") == "c"


def test_openai_is_reached_elsewhere_when_told() -> None:
    env = {"OPENAI_API_KEY": "a"}

    assert resolve("openai", {}, env).base_url == "https://api.openai.com/v1"
    other = resolve("openai", {}, env, openai_base_url="http://127.0.0.1:9/v1/")
    assert other.base_url == "http://127.0.0.1:9/v1"


def test_a_missing_key_is_named_and_so_is_the_way_to_get_one() -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY is not set.*octavo login.*--oss"):
        resolve("openai", {}, {})
    with pytest.raises(ConfigError, match=r"ACME_KEY is not set.*export ACME_KEY"):
        resolve("acme", {"acme": ACME}, {})
    told = msgspec.structs.replace(ACME, env_key_instructions="Ask Wile.")
    with pytest.raises(ConfigError, match=r"Ask Wile\."):
        resolve("acme", {"acme": told}, {})


def test_a_table_of_the_configuration_becomes_a_provider() -> None:
    config = ProviderConfig(
        name="Acme",
        base_url="https://acme.example/v1/",
        env_key="ACME_KEY",
        query_params={"v": "1"},
        http_headers={"x-a": "1", "x-b": "fixed"},
        env_http_headers={"x-b": "B", "x-c": "C"},
        request_max_retries=1,
        stream_max_retries=2,
        stream_idle_timeout_ms=3,
    )

    assert resolve("acme", {"acme": config}, {"ACME_KEY": "k", "B": "2"}) == Provider(
        id="acme",
        name="Acme",
        base_url="https://acme.example/v1",
        api_key="k",
        http_headers={"x-a": "1", "x-b": "2"},
        query_params={"v": "1"},
        wire_api="auto",
        request_max_retries=1,
        stream_max_retries=2,
        stream_idle_timeout_ms=3,
    )


def test_anthropic_is_built_in_and_speaks_its_own_api() -> None:
    provider = resolve("anthropic", {}, {"ANTHROPIC_API_KEY": "sk-ant-1"})

    assert (provider.base_url, provider.wire_api) == ("https://api.anthropic.com/v1", "anthropic")
    assert provider.credentials() == {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01"}
    assert "sk-ant-1" in provider.secrets()
    assert resolve("anthropic", {}, {}, "stored").api_key == "stored"
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY is not set"):
        resolve("anthropic", {}, {})


def test_a_built_in_provider_is_adjusted_without_naming_its_address_again() -> None:
    table = {"anthropic": ProviderConfig(request_max_retries=0)}

    provider = resolve("anthropic", table, {"ANTHROPIC_API_KEY": "k"})

    assert provider.base_url == "https://api.anthropic.com/v1"
    assert (provider.api_key, provider.wire_api) == ("k", "anthropic")
    assert provider.request_max_retries == 0


def test_a_key_is_not_sent_to_another_address_than_its_own() -> None:
    table = {"anthropic": ProviderConfig(base_url="https://proxy.example/v1")}

    assert resolve("anthropic", table, {"ANTHROPIC_API_KEY": "k"}).api_key is None


def test_a_server_says_how_it_is_spoken_to_or_is_tried() -> None:
    named = {"acme": ProviderConfig(base_url="https://x/v1", wire_api="chat")}

    assert resolve("acme", named, {}).wire_api == "chat"
    assert resolve("openai", {}, {"OPENAI_API_KEY": "a"}).wire_api == "responses"
    assert resolve("ollama", {}, {}).wire_api == "auto"


def test_a_local_server_needs_no_key_and_may_live_elsewhere() -> None:
    assert resolve("ollama", {}, {}).base_url == "http://127.0.0.1:11434/v1"
    assert resolve("vllm", {}, {"OPENAI_API_KEY": "a"}).api_key is None
    for host, url in [
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("box:99", "http://box:99/v1"),
        ("https://box", "https://box:11434/v1"),
        ("http://box:99/", "http://box:99/v1"),
    ]:
        assert resolve("ollama", {}, {"OLLAMA_HOST": host}).base_url == url
    table = {"vllm": ProviderConfig(base_url="http://gpu:1/v1")}
    assert resolve("vllm", table, {}).base_url == "http://gpu:1/v1"


def test_an_unknown_provider_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'olama'.*Did you mean 'ollama'.*acme.*openai"):
        resolve("olama", {"acme": ACME}, {})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (ProviderConfig(), "no base_url"),
        (ProviderConfig(base_url="acme.example"), "no web address"),
    ],
)
def test_settings_that_cannot_work_are_explained(config: ProviderConfig, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve("acme", {"acme": config}, {})


def test_the_built_in_openai_cannot_be_replaced() -> None:
    with pytest.raises(ConfigError, match="openai_base_url"):
        resolve("openai", {"openai": ACME}, {"OPENAI_API_KEY": "a"})


@pytest.mark.anyio
async def test_a_running_local_server_is_found_with_its_models() -> None:
    async with serve(models=("gpt-oss:20b", "qwen3:8b")) as server:
        env = {"OLLAMA_HOST": f"127.0.0.1:{server.port}"}

        provider, models = await detect_local("ollama", env)

    assert (provider.id, provider.base_url) == ("ollama", server.base_url)
    assert models == ("gpt-oss:20b", "qwen3:8b")


@pytest.mark.anyio
async def test_where_no_local_server_runs_the_command_to_start_one_is_told() -> None:
    env = {"OLLAMA_HOST": "127.0.0.1:1"}

    with pytest.raises(ConfigError, match=r"No local model server.*`ollama serve`"):
        await detect_local("ollama", env)
    with pytest.raises(ConfigError, match=r"no local provider 'foo'.*ollama, lmstudio"):
        await detect_local("foo", env)
