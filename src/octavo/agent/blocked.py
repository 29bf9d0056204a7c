"""What becomes of hosts that were kept from a command: told to the model, and put to a person."""

from __future__ import annotations

import os

from octavo.agent.ground import may_widen
from octavo.agent.labels import needs_person
from octavo.agent.network import ASKED_AT_ONCE, HOST_OFFERS
from octavo.agent.permits import Asker, Terms, remembered_hosts
from octavo.protocol.questions import NetworkQuestion
from octavo.sandbox.net import Blocked
from octavo.tools import Permit


async def answered(permit: Permit, told: set[str], terms: Terms, asker: Asker) -> list[str]:
    """Return what the model is to know of hosts that were kept from a command, after asking.

    A person is asked about hosts that are merely not listed, never about denied or local ones.

    Args:
        told: hosts that were told before; those told now are added.
    """
    notes: list[str] = []
    asked = 0
    for blocked in terms.blocks.since(permit.blocked_since):
        if blocked.host in told:
            continue
        told.add(blocked.host)
        if blocked.reason != "not_allowed":
            notes.append(str(blocked))
            continue
        if blocked.host in _allowed_now(terms):
            notes.append(f"{blocked} It is allowed from the next command on.")
        elif not may_widen(terms.approval, present=terms.present):
            notes.append(
                f"{blocked} Nobody can allow it here: go on without it.{_way(blocked, terms)}"
            )
        elif blocked.host in terms.blocks.declined or asked == ASKED_AT_ONCE:
            notes.append(f"{blocked} Go on without it.")
        else:
            asked += 1
            notes.append(f"{blocked} {await _ask(blocked, permit, terms, asker)}")
    return notes


def _way(blocked: Blocked, terms: Terms) -> str:
    """Say what allows it the next time; not to a thread that could carry something out."""
    if needs_person(terms.seen) is not None:
        return ""
    return f" (The user can start octavo with --allow-host {blocked.host}.)"


def _allowed_now(terms: Terms) -> set[str]:
    return {*remembered_hosts(terms), *terms.blocks.once}


async def _ask(blocked: Blocked, permit: Permit, terms: Terms, asker: Asker) -> str:
    warning = needs_person(terms.seen)
    asked = f"A command was kept from reaching {blocked.host}. May commands reach it?"
    question = NetworkQuestion(
        blocked.host,
        blocked.protocol,
        blocked.port,
        permit.command.argv[-1],
        os.fspath(permit.command.cwd),
        asked if warning is None else f"{asked} {warning}",
        HOST_OFFERS if warning is None else (),
    )
    answer = await asker.ask_person(question)
    if not answer.yes:
        terms.blocks.declined.add(blocked.host)
        return "The user declined to allow it: do not try to reach it in another way."
    for offer in question.offers:
        if offer.id == answer.remember and offer.scope != "thread":
            terms.remembered.keep(question, offer, terms.policy.cwd)
    if blocked.host not in remembered_hosts(terms):
        terms.blocks.once.append(blocked.host)
        return "The user has just allowed it for the next command: run this again if it needs it."
    return "The user has just allowed it: run this again if it needs it."
