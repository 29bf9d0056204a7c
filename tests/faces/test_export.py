"""Threads as files: whatever is in one, the file is inert."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from octavo.faces.export.markdown import markdown
from octavo.faces.export.page import page
from octavo.protocol import items as it
from octavo.protocol.inputs import LocalImage, Text

HOSTILE = (
    '</pre></div><script>alert(1)</script><img src=x onerror=alert(1)>" onload="x\' <!-- \n'
    "```\n````\n# head\n![x](http://evil.example/x.png)\n<iframe src='//evil.example'>\x1b[2J\u202e"
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "dl", "dt", "dd"),
    *("section", "div", "pre", "span", "details", "summary", "p"),
}


def thread(text: str) -> it.Thread:
    change = it.FileUpdateChange(text, it.Kind("update", text), f"@@ -1 +1 @@\n-a\n+{text}\n")
    items: tuple[it.ThreadItem, ...] = (
        it.UserMessage(id="1", content=(Text(text), LocalImage(text))),
        it.Reasoning(id="2", summary=(text,)),
        it.AgentMessage(id="3", text=text),
        it.CommandExecution(
            id="4", command=text, cwd=text, status="failed", aggregated_output=text, exit_code=1
        ),
        it.FileChange(id="5", changes=(change,), status="completed"),
        it.DynamicToolCall(
            id="6",
            tool=text,
            arguments={text: text},
            status="failed",
            content_items=({"type": "inputText", "text": text},),
        ),
        it.WebSearch(id="7", query=text),
        it.ImageView(id="8", path=text),
        it.ContextCompaction(id="9"),
    )
    turn = it.Turn("t", items, "full", "failed", it.TurnError(text), 1, 2)
    return it.Thread(
        id="x", session_id="x", preview=text, ephemeral=False, model_provider=text, model=text,
        created_at=1, updated_at=1, status=it.ThreadStatus("idle"), path=text, cwd=text,
        cli_version="", source="exec", name=text, turns=(turn,), forked_from_id="y",
    )  # fmt: skip


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "open"}


def test_a_page_of_hostile_text_has_no_tag_of_its_own() -> None:
    html = page(thread(HOSTILE))
    reader = read(html)

    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert "default-src &#x27;none&#x27;" in html
    assert "alert(1)</script>" not in html
    assert "<script>alert(1)</script>" in "".join(reader.text)
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert '<span class="cut">-a</span>' in html


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_a_page(text: str) -> None:
    reader = read(page(thread(text)))
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES


@given(st.text(alphabet="`~#<>![]()\n ab", max_size=60) | st.just(HOSTILE))
def test_no_text_breaks_out_of_its_fence(text: str) -> None:
    fence = ""
    outside: list[str] = []
    for line in markdown(thread(text)).split("\n"):
        ticks = re.match(r"`{3,}", line)
        if not fence and ticks:
            fence = ticks[0]
        elif fence and re.fullmatch(rf"`{{{len(fence)},}}\s*", line):
            fence = ""
        elif not fence:
            outside.append(line)
    assert fence == ""
    for line in outside:
        assert re.match(r"# |## Turn 1|- (Thread|Directory|Model|Began|Last|Forked)|\*\*|$", line)
        assert not re.search(r"(?<!\\)[<!\[]", re.sub(r"(`+).*\1", "", line))
