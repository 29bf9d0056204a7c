"""From the start of the process until the first request, with three MCP servers and with none.

Octavo twice, in turns: without servers, and with three real ones that were seen before, so that
their tools are declared from their pins. Skipped where `make mcp-servers` fetched none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

from harness import MS, Bench, Contender, Row, message

SERVERS = Path(__file__).parent.parent / ".mcp-servers"
RUNS_TIMES = 3
"""A difference of two times is noisier than either."""


def measure(bench: Bench) -> list[Row]:
    """Runs that say nothing but hello."""
    if not (SERVERS / ".done").exists():
        return []
    none, three = (
        Contender(name, bench.octavo.argv, bench.place / f"mcp-{name}")
        for name in ("none", "three")
    )
    cwd = bench.workspace()
    for one in (none, three):
        one.environment()
    (three.home / "state" / "config.toml").write_text(_settings(cwd))
    with bench.model([message()]) as model:
        model.run(three, cwd=cwd, requests=1)  # sees them for the first time
        found = bench.in_turns(
            lambda one: model.run(one, cwd=cwd, requests=1),
            contenders=[none, three],
            runs=bench.runs * RUNS_TIMES,
        )
    without, with_them = (
        median(run.first_request_s for run in found[one.name]) * MS for one in (none, three)
    )
    more = with_them - without
    return [Row("3 MCP servers, more until the first request", "ms", {"octavo": more}, goal=50)]


def _settings(cwd: Path) -> str:
    lines = []
    for name, words in (
        ("git", ["-m", "mcp_server_git", "--repository", str(cwd)]),
        ("time", ["-m", "mcp_server_time", "--local-timezone", "UTC"]),
        ("fetch", ["-m", "mcp_server_fetch"]),
    ):
        lines += [
            f"[mcp_servers.{name}]",
            f"command = {json.dumps(sys.executable)}",
            f"args = {json.dumps(words)}",
            f"env = {{ PYTHONPATH = {json.dumps(str(SERVERS / 'python'))} }}",
            "startup_timeout_sec = 60.0",
        ]
    return "\n".join(lines) + "\n"
