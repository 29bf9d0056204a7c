"""A thread as one page of HTML that stands alone: it loads nothing, runs nothing, links nowhere.

The policy in its head says so to the browser as well, should anything of the escaping be wrong.
"""

from __future__ import annotations

from html import escape

from octavo.faces.export.blocks import Block, blocks, facts, headline, turn_title
from octavo.protocol import items as it

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --add: #2da44e33; --cut: #cf222e33 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem } h2 { font-size: 1rem; color: var(--quiet); margin: 2.5rem 0 .5rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
pre { margin: 0; padding: .7rem; overflow-x: auto; font: 13px/1.45 ui-monospace, monospace }
section { border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0; overflow: hidden }
section > h3, summary { margin: 0; padding: .3rem .7rem; font-size: .8rem; color: var(--quiet) }
.user, .answer { white-space: pre-wrap; overflow-wrap: anywhere; padding: .3rem .7rem .7rem }
.from-user { border-left: 4px solid #0969da } .note { color: var(--quiet) }
summary { font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
.add { background: var(--add) } .cut { background: var(--cut) } .at { color: var(--quiet) }
.diff span { display: block; min-height: 1.45em }
"""

_OUTPUT_SHOWN_LINES = 12
"""A longer output is folded away."""


def page(thread: it.Thread) -> str:
    """Return the file."""
    title = escape(headline(thread))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        "<dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(thread)),
        "</dl>",
    ]
    for number, turn in enumerate(thread.turns, 1):
        parts.append(f"<h2>{escape(turn_title(number, turn))}</h2>")
        parts += [_block(block) for block in blocks(turn)]
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"


def _block(block: Block) -> str:
    title, body = escape(block.title), escape(block.body)
    match block.kind:
        case "user" | "answer":
            return (
                f'<section class="from-{block.kind}"><h3>{title}</h3>'
                f'<div class="{block.kind}">{body}</div></section>'
            )
        case "diff":
            lines = "".join(_diff_line(line) for line in block.body.split("\n"))
            return f'<section><h3>{title}</h3><pre class="diff">{lines}</pre></section>'
        case "note" if not block.body:
            return f'<p class="note">{title}</p>'
        case _:
            said = f"$ {title}" if block.kind == "command" else title
            shown = " open" if block.body.count("\n") <= _OUTPUT_SHOWN_LINES else ""
            inside = f"<pre>{body}</pre>" if block.body else ""
            return f"<section><details{shown}><summary>{said}</summary>{inside}</details></section>"


def _diff_line(line: str) -> str:
    kind = {"+": "add", "-": "cut", "@": "at"}.get(line[:1], "same")
    return f'<span class="{kind}">{escape(line)}</span>'
