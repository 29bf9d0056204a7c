"""Remembered approvals: list them, revoke them. Those of one thread are in its log, not here."""

from __future__ import annotations

from octavo.config.paths import octavo_home
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.server.connection import Handler, Request


async def list_approvals(request: Request) -> m.ApprovalsListResult:
    """octavo/approvals/list: oldest first"""
    from octavo.config.approvals import read_approvals  # nothing a thread needs at its start

    request.params(m.Nothing)
    found = read_approvals(octavo_home(request.server.launch.env))
    return m.ApprovalsListResult(
        tuple(
            m.Approval(
                id=one.id,
                covers=one.covers,
                scope="always" if one.project is None else "project",
                command=one.command,
                created_at=one.at_ms // 1000,
                project=one.project,
                cwd=one.cwd,
                words=one.words,
                host=one.host,
            )
            for one in found
        )
    )


async def revoke(request: Request) -> m.ApprovalsRevokeResult:
    """octavo/approvals/revoke: holds from the next command on, in running threads too"""
    from octavo.config import approvals

    params = request.params(m.ApprovalsRevokeParams)
    home = octavo_home(request.server.launch.env)
    if params.all_:
        return m.ApprovalsRevokeResult(approvals.revoke_all(home))
    if not params.ids:
        raise UsageError("No approval was named.", hint="`octavo approvals list` shows them.")
    return m.ApprovalsRevokeResult(len(approvals.revoke(home, params.ids)))


HANDLERS: dict[str, Handler] = {
    m.APPROVALS_LIST.name: list_approvals,
    m.APPROVALS_REVOKE.name: revoke,
}
