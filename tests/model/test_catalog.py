"""What is known about models, and what is assumed of the others."""

from __future__ import annotations

import runpy

import pytest

from octavo.model.catalog import COMPILED, FALLBACK, catalog, default_openai_model, find


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("gpt-5.5", "gpt-5.5"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
        ("openai/gpt-6.1-sol", "gpt-6.1-sol"),
        ("GPT-5.4-mini", "gpt-5.4-mini"),
        ("gpt-oss:20b", "gpt-oss"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("qwen3-coder:30b", "qwen3-coder"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder"),
        ("qwen3:8b", "qwen3"),
        ("llama3.1:8b", "llama3.1"),
        ("devstral-small-2507", "devstral"),
    ],
)
def test_a_model_is_found_by_the_names_its_servers_give_it(name: str, entry: str) -> None:
    assert find(name) is catalog().models[entry]


@pytest.mark.parametrize("name", ["gpt-7", "gpt-5.55", "gpt-5.5-codex-new", "", "mystery:1b"])
def test_a_model_that_is_not_listed_is_assumed_to_be_able(name: str) -> None:
    info = find(name)

    assert info is FALLBACK
    assert not info.known
    assert info.apply_patch == "function"
    assert info.parallel_calls


def test_entries_are_consistent() -> None:
    assert default_openai_model() in catalog().models
    for name, info in catalog().models.items():
        assert name == name.lower()
        assert info.known
        assert info.default_effort is None or info.default_effort in info.efforts
        assert info.max_context_window is None or info.max_context_window > info.context_window


def test_what_octavo_reads_is_what_the_source_says() -> None:
    """Mend with `make models`."""
    assert COMPILED.read_bytes() == runpy.run_path("tools/models.py")["compiled"]()
