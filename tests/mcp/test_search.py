"""Many tools cost a prompt little: they are found by words, and called by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.allowed import Allowed
from octavo.mcp.remote import NAME_CHARACTERS, called, remotes
from octavo.mcp.search import Index, terms
from octavo.trial.scripted import Script, call, say
from tests.mcp.servers import config, names, tool
from tests.scenarios.playing import playing

ALL = Allowed(mcp=("acting",))
MANY = [
    tool(f"tool_{n}", f"Does thing number {n} with the widgets of department {n % 7}." * 3)
    for n in range(500)
]


@pytest.mark.anyio
async def test_five_hundred_tools_cost_a_prompt_less_than_2000_tokens(workspace: Path) -> None:
    import msgspec

    hidden = tool("send_invoice", "Send an invoice to a customer.")
    acting = config("acting", *MANY, hidden, do={"send_invoice": "echo"})
    script: Script = [
        call("tool_search", query="invoices for customers"),
        call("call_tool", name="mcp__acting__send_invoice", arguments={"to": "Ada"}),
        call("mcp__acting__send_invoice", to="Bob"),
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[acting], allowed=ALL) as play:
        await play.turn("go")
    async with playing([say("Done.")], workspace) as plain:
        await plain.turn("go")

    with_them, without = (len(msgspec.json.encode(p.requests()[0]["tools"])) for p in (play, plain))
    assert (with_them - without) / 4 < 2_000
    assert names(play.requests()[0])[-2:] == ["tool_search", "call_tool"]
    found, called_by, direct = play.outputs()
    assert found.startswith("1 of 501 tools")
    assert '"mcp__acting__send_invoice"' in found
    assert '{"to": "Ada"}' in called_by
    assert '{"to": "Bob"}' in direct
    bodies = [request["tools"] for request in play.requests()]
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.anyio
async def test_a_tool_that_comes_later_is_found_and_changes_no_prompt(workspace: Path) -> None:
    acting = config(
        "acting", "change", later=[tool("change"), tool("brand_new")], do={"brand_new": "echo"}
    )
    script: Script = [
        call("mcp__acting__change"),
        *[call("tool_search", query="brand new")] * 3,
        call("call_tool", name="mcp__acting__brand_new", arguments={"n": 1}),
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[acting], allowed=ALL) as play:
        await play.turn("go")

    assert "mcp__acting__brand_new" in play.outputs()[-2]
    assert '{"n": 1}' in play.outputs()[-1]
    bodies = [request["tools"] for request in play.requests()]
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.anyio
async def test_only_the_tools_that_are_wanted_are_offered(workspace: Path) -> None:
    acting = config(
        "acting", "one", "two", "three", more='enabled_tools=["one","two"],disabled_tools=["two"]'
    )
    script: Script = [call("call_tool", name="mcp__acting__two", arguments={}), say("Done.")]
    async with playing(script, workspace, overrides=[acting], allowed=ALL) as play:
        await play.turn("go")

    mine = [name for name in names(play.requests()[0]) if name.startswith("mcp__")]
    assert mine == ["mcp__acting__one"]
    assert "There is no tool 'mcp__acting__two'" in play.outputs()[0]


def test_a_rare_word_counts_most_and_a_name_more_than_a_text() -> None:
    tools = remotes(
        "s",
        [
            tool("list_files", "List the files of a folder."),
            tool("read_file", "Read one file."),
            tool("sendMail", "Send a message; files can be attached."),
        ],
    )
    index = Index(tools)

    def first(query: str) -> str:
        return index.search(query, 1)[0].tool

    assert first("mail a file") == "sendMail"
    assert first("file reading: read") == "read_file"
    assert first("folders") == "list_files"
    assert index.search("zebra", 5) == []
    assert len(index.search("file", 2)) == 2


@given(st.text(), st.lists(st.text(max_size=20), max_size=5))
def test_any_words_can_be_searched(query: str, described: list[str]) -> None:
    tools = remotes("s", [tool(f"t{n}", text) for n, text in enumerate(described)])
    found = Index(tools).search(query, 3)

    assert len(found) <= 3
    assert len({one.tool for one in found}) == len(found)
    assert all(word == word.lower() for word in terms(query) if word.isascii())


@given(st.lists(st.text(min_size=1, max_size=90), unique=True, max_size=8), st.text(max_size=70))
def test_every_tool_has_a_name_of_its_own_that_providers_take(
    tools: list[str], server: str
) -> None:
    found = remotes(server, [{"name": name} for name in tools])

    assert [one.tool for one in found] == tools
    assert len({one.name for one in found}) == len(tools)
    for one in found:
        assert len(one.name) <= NAME_CHARACTERS
        assert one.name.replace("_", "").isalnum() or one.name.replace("_", "") == ""
        assert one.name.isascii()
    assert called("my-demo", "add-numbers") == "mcp__my_demo__add_numbers"
