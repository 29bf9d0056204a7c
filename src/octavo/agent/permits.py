"""Whether a command may run, and how: the one place that decides.

    rules and the list of what cannot be undone   → forbidden, asked about, or fine
    what the call asks for besides                → a wider cage for this call, or none at all
    what a person accepted before                 → spares a question, widens nothing
    a person, or a judge in their place           → yes, or a text for the model

The policy's cage is where commands run. A wider one is a grant; out of the cage leads only a
person's yes to exactly this command. A git command is judged here before anything else is done
with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from octavo.agent import facts
from octavo.agent.grants import read_grant, widened
from octavo.agent.ground import may_widen
from octavo.agent.labels import is_of_others, needs_person, reads_others
from octavo.agent.network import Blocks, reaching, ruled
from octavo.agent.plain import plain_gh, plain_git
from octavo.agent.remembered import Remembered
from octavo.config.settings import ApprovalPolicy, GranularPolicy
from octavo.policy import Reading, Shell
from octavo.policy.commands import is_plain, read
from octavo.policy.decide import Answer as Decision
from octavo.policy.decide import Ask, Call, Deny, Granular, decide, may_ask, refusal
from octavo.policy.decide import Policy as Settled
from octavo.policy.rules import Rules
from octavo.policy.targets import placed
from octavo.protocol.errors import ConfigError, SandboxError
from octavo.protocol.questions import Answer, CommandQuestion, Grant, NetworkQuestion
from octavo.protocol.visible import visible_line
from octavo.sandbox import Policy, Sandbox
from octavo.tools import Declined, Permit, ToolFailed, WantedCommand
from octavo.tools.denials import writable_places

if TYPE_CHECKING:
    from octavo.agent.gh_place import GhPlace
    from octavo.agent.git_remote import Remote
    from octavo.agent.rulebook import Rulebook
    from octavo.policy.gh import GhScript

_LANGUAGES: dict[str, Shell] = {"bash": "bash", "zsh": "zsh", "sh": "sh", "dash": "sh"}


class Terms(msgspec.Struct, frozen=True):
    """What holds for the commands of a turn.

    Attributes:
        policy: of the cage, as the settings and the person's flags have it.
        roots: where it lets commands write.
        approval: what the person wants to be asked.
        present: somebody can be asked at all.
        home: octavo's own directory.
        accepted: first words of commands that were accepted on the command line; () is all.
        unasked: nobody wants to be asked, and what would be asked is accepted (`--yolo`).
    """

    policy: Policy
    roots: tuple[Path, ...]
    approval: ApprovalPolicy
    present: bool
    home: Path
    rulebook: Rulebook
    remembered: Remembered
    blocks: Blocks
    sandbox: Sandbox
    accepted: tuple[tuple[str, ...], ...] = ()
    own: Path | None = None
    """The repository that the thread works in."""
    outputs: Path | None = None
    """Where the full outputs of its own commands are."""
    seen: frozenset[str] = frozenset()
    """Labels of what the thread has seen; see `labels`."""
    push: bool = False
    """Git may talk to the remotes of the thread's own repository without a question."""
    unasked: bool = False
    env: Mapping[str, str] = {}
    """Octavo's own environment."""


class Asker(Protocol):
    """Who gets the questions."""

    @property
    def judging(self) -> bool:
        """Whether a model judges in a person's place what does not widen the cage."""

    async def ask_person(self, question: CommandQuestion | NetworkQuestion) -> Answer: ...

    async def ask_judge(self, question: CommandQuestion) -> Answer: ...


async def permit(wanted: WantedCommand, terms: Terms, asker: Asker) -> Permit:
    """Return the leave to start a command.

    Raises:
        Declined: it may not run; the text is for the model.
        ToolFailed: it asks for what cannot be given.
    """
    return await _Case(wanted, terms, asker).permit()


class _Case:
    """One command before its judge."""

    def __init__(self, wanted: WantedCommand, terms: Terms, asker: Asker) -> None:
        self._wanted = wanted
        self._terms = terms
        self._asker = asker
        self._cwd = terms.policy.cwd
        self._confined = terms.policy.mode.is_confined
        self._outside = wanted.outside and self._confined
        self._rules = self._load_rules()
        self._git = None if self._outside or not self._confined else plain_git(wanted.script)
        confines = self._confined and not self._outside
        closed = terms.policy.network.access != "open"
        self._gh = (
            plain_gh(wanted.script, terms.env, _written(terms)) if confines and closed else None
        )
        if self._gh is not None:
            self._wanted = replace(self._wanted, script=str(self._gh))
        if self._git is not None:  # no shell reads it: what is judged is what git is told
            self._wanted = replace(wanted, script=str(self._git))
        self._shell, self._reading = _read(self._wanted)
        self._found: tuple[Remote, ...] = ()
        self._places: tuple[GhPlace, ...] = ()

    async def permit(self) -> Permit:
        decision = self._decide(self._wanted.script, ())
        if isinstance(decision, Deny):
            raise Declined(decision.reason)
        ask = decision if isinstance(decision, Ask) else None
        found = self._found = await self._remotes()
        self._places = await self._gh_places()
        grant = await self._grant(found)
        if self._outside:
            self._check_may_widen("leave the sandbox")
            await self._ask(self._warned(self._question(ask, None)), ask)
        elif ask is not None or grant is not None:
            await self._settle(ask, grant)
        policy = reaching(self._terms.policy, self._accepted_hosts())
        if grant is not None:
            _check_unmoved(grant)
            policy = widened(policy, grant)
        if self._confined and not self._outside:
            policy = ruled(policy, self._rules.network)
        return Permit(
            self._wanted.command,
            policy,
            outside=self._outside,
            blocked_since=self._terms.blocks.count,
            git=self._git,
            gh=self._gh,
            remotes=found or self._places,
            reads_others=self._reads_others(),
        )

    def _reads_others(self) -> bool:
        cwd, own, outputs = self._wanted.command.cwd, self._terms.own, self._terms.outputs
        if is_of_others(str(cwd), own, outputs):
            return True
        for command, where in placed(self._reading, str(cwd)):
            if where not in (None, str(cwd)) and is_of_others(where, own, outputs):
                return True
            words = [*command.argv, *(value for _, value in command.env)]
            words += [redirect.target for redirect in command.redirects if redirect.op != "<<"]
            texts = [word.text for word in words if word.text]
            if reads_others(texts, cwd if where is None else Path(where), own, outputs):
                return True
        return False

    # ---- Deciding ----

    def _load_rules(self) -> Rules:
        try:
            return self._terms.rulebook.rules(self._cwd)
        except ConfigError as error:
            self._terms.rulebook.tell(f"No command runs until the rules are mended. {error}")
            raise Declined(
                "No command can be run: a file with the user's rules for commands has an error, "
                f"so nobody knows what they forbid. {error} Tell the user; you cannot mend it. "
                "Nothing was run."
            ) from None

    def _decide(self, script: str, more: tuple[tuple[str, ...], ...]) -> Decision:
        terms = self._terms
        same = script == self._wanted.script
        accepted = (*terms.accepted, *terms.remembered.prefixes(self._cwd), *more)
        command = self._wanted.command
        return decide(
            Call(script, os.fspath(command.cwd), self._shell, escalated=self._outside),
            self._rules,
            Settled("on-request", _deletable(terms), accepted),
            resolve=os.path.realpath,
            reading=self._reading if same else None,
        )

    async def _remotes(self) -> tuple[Remote, ...]:
        """Return where plain git would go."""
        if self._git is None or not self._git.remote:
            return ()
        from octavo.agent.git_cage import GitRefused, program
        from octavo.agent.git_remote import Outside, remotes

        command, terms = self._wanted.command, self._terms
        outside = Outside(terms.env, terms.home, _written(terms))
        try:
            git = str(program(command.env))
            return await remotes(self._git, command, git, terms.sandbox, outside)
        except GitRefused as refusal:
            raise ToolFailed(f"git: {refusal}") from None

    async def _gh_places(self) -> tuple[GhPlace, ...]:
        """Return what calls of gh talk about."""
        if self._gh is None:
            return ()
        from octavo.agent.gh_place import places
        from octavo.agent.git_remote import Outside

        terms = self._terms
        outside = Outside(terms.env, terms.home, _written(terms))
        try:
            return await places(self._gh, self._wanted.command, terms.sandbox, outside)
        except SandboxError as refusal:
            raise ToolFailed(f"gh: {refusal}") from None

    async def _grant(self, found: Sequence[Remote]) -> Grant | None:
        extra, terms = self._wanted.extra, self._terms
        if self._gh is not None:
            return self._gh_grant(self._gh)
        if found and not (terms.push and self._goes_to_own_remotes()):
            return Grant(hosts=tuple(dict.fromkeys(one.place for one in found)))
        if extra is None or not self._confined or self._outside:
            return None
        return await read_grant(extra, terms.policy, terms.roots, terms.sandbox, terms.home)

    def _gh_grant(self, script: GhScript) -> Grant | None:
        from octavo.agent.gh_place import are_of_the_person

        places, terms = self._places, self._terms
        cwd = self._wanted.command.cwd
        if terms.push and are_of_the_person(script, places, cwd, self._cwd):
            return None
        return Grant(hosts=tuple(dict.fromkeys(place.api for place in places)))

    def _goes_to_own_remotes(self) -> bool:
        from octavo.agent.git_remote import are_of_the_person

        git = self._git
        return git is not None and are_of_the_person(git, self._wanted.command.cwd, self._cwd)

    async def _settle(self, ask: Ask | None, grant: Grant | None) -> None:
        """Find somebody who says yes to what stays in a cage."""
        terms = self._terms
        question = self._question(ask, grant)
        leaves = grant is not None and _leaves(grant) and needs_person(terms.seen) is not None
        if leaves:  # whatever was accepted before, it was before this was seen
            question = self._warned(question)
        elif question.key is not None and terms.remembered.spares(question.key, self._cwd):
            return
        if grant is not None:
            self._check_may_widen("have more than the sandbox gives")
        elif terms.unasked:
            return
        elif self._asker.judging and not (ask is not None and ask.forbidden):
            answer = await self._asker.ask_judge(question)
            if not answer.yes:
                raise Declined(_judged(answer))
            return
        if ask is not None and not may_ask(ask, _settled(terms)):
            raise Declined(f"{refusal(ask, escalated=False).reason}{self._how_to_allow(ask)}")
        await self._ask(question, ask)

    def _how_to_allow(self, ask: Ask) -> str:
        """Say what lets this run the next time, for the report and whoever reads along."""
        from octavo.agent.offers import flags_for

        flags = flags_for(ask, self._reading, self._decide, self._wanted.script)
        return f" (The user can start octavo with {flags}.)" if flags else ""

    def _warned(self, question: CommandQuestion) -> CommandQuestion:
        """Say what the thread has seen, where that bears on letting something leave."""
        why = " ".join(filter(None, (question.why, needs_person(self._terms.seen))))
        return replace(question, why=why or None)

    def _check_may_widen(self, what: str) -> None:
        terms = self._terms
        if may_widen(terms.approval, present=terms.present):
            return
        if self._found or self._places:
            hosts = [one.place for one in self._found] + [one.api for one in self._places]
            raise ToolFailed(
                f"This would go to {', '.join(dict.fromkeys(hosts))}, which a person has to allow, "
                "and nobody can be asked here. Nothing was run. Go on without it, and say in your "
                "answer what is left to do. (The user can start octavo with --allow-push, which "
                "counts for the remotes of the repository that it was started in.)"
            )
        raise ToolFailed(
            f"Commands cannot {what} here, as nobody can be asked. In it "
            f"{writable_places(terms.roots)} The network is {_network(terms.policy)}. Run it "
            "without sandbox_permissions if that is enough; otherwise go another way, or say in "
            "your answer what you could not do. Nothing was run."
        )

    # ---- Asking ----

    def _question(self, ask: Ask | None, grant: Grant | None) -> CommandQuestion:
        from octavo.agent.offers import offers_for  # most commands are never asked about

        command, reading = self._wanted.command, self._reading
        used = facts.programs(reading, command)
        offers = (
            ()
            if self._outside
            else offers_for(
                ask if grant is None else None,
                reading,
                self._wanted.prefix_rule,
                self._decide,
                self._wanted.script,
            )
        )
        places = self._said_of_git() + self._said_of_gh()
        said = (_asked_for(grant), *places, ask.reason if ask else None)
        return CommandQuestion(
            self._wanted.script,
            os.fspath(command.cwd),
            self._wanted.justification,
            outside=self._outside,
            why=" ".join(filter(None, said)) or None,
            rules=ask.rules if ask else (),
            programs=used[: facts.SHOWN],
            paths=facts.paths(reading, command)[: facts.SHOWN],
            grant=grant,
            offers=offers,
            key=facts.key_of(command, used, grant, places),
        )

    def _said_of_git(self) -> list[str]:
        """Return where git goes: a remote's name alone is whatever its repository makes of it."""
        return [
            f"Git goes to {visible_line(one.url)}." if one.ssh is None else one.ssh.said
            for one in self._found
        ]

    def _said_of_gh(self) -> list[str]:
        if self._gh is None:
            return []
        from octavo.agent.gh_place import said

        return list(said(self._gh, self._places))

    async def _ask(self, question: CommandQuestion, ask: Ask | None) -> None:
        answer = await self._asker.ask_person(question)
        if not answer.yes:
            raise Declined(_no(answer, question, ask))
        for offer in question.offers:
            if offer.id == answer.remember and offer.scope != "thread":
                self._terms.remembered.keep(question, offer, self._cwd)

    def _accepted_hosts(self) -> Sequence[str]:
        terms = self._terms
        if not self._confined or self._outside or terms.policy.network.access == "open":
            return ()
        return [*remembered_hosts(terms), *terms.blocks.take_once()]


def remembered_hosts(terms: Terms) -> tuple[str, ...]:
    """Return the hosts that a person let commands reach for longer than once, as far as that holds.

    Once the thread has seen what may want to send away what it has also seen, none of it does.
    """
    if needs_person(terms.seen) is not None:
        return ()
    return terms.remembered.hosts(terms.policy.cwd)


def _check_unmoved(grant: Grant) -> None:
    """What was granted is what was shown, also when it took the person an hour to answer."""
    for path in grant.write:
        if os.path.realpath(path) != path or not os.path.lexists(path):
            raise ToolFailed(
                f"{path} became something else while the user was asked. Nothing was run. Look "
                "what is there now, and ask again if it is still needed."
            )


def _leaves(grant: Grant) -> bool:
    """Whether something could be sent away with a grant."""
    return bool(grant.network or grant.hosts)


def _settled(terms: Terms) -> Settled:
    """What the person wants to be asked, in the words of the policy."""
    approval = terms.approval
    if not terms.present or approval == "never":
        return Settled("never")
    if isinstance(approval, GranularPolicy):
        kinds = approval.granular
        return Settled(Granular(kinds.sandbox_approval, kinds.rules))
    return Settled("on-request")


def _deletable(terms: Terms) -> tuple[str, ...]:
    """Return the folders in which forced deletion is the model's ordinary work."""
    policy = terms.policy
    places = [policy.cwd, *policy.writable_roots, *(r for r in terms.roots if r != Path("/"))]
    return tuple(dict.fromkeys(map(os.fspath, places)))


def _read(wanted: WantedCommand) -> tuple[Shell, Reading]:
    """Read a script in the language of the shell that will run it."""
    name = PurePath(wanted.command.argv[0]).name
    language = _LANGUAGES.get(name)
    if language is not None:
        return language, read(wanted.script, shell=language)
    language = "sh"
    reading = read(wanted.script, shell=language)
    if not is_plain(wanted.script):
        why = f"it is in the language of {name}, which octavo does not read"
        reading = Reading(reading.commands, (why,))
    return language, reading


def _written(terms: Terms) -> tuple[Path, ...]:
    """Return where commands write: no program there is started outside of the cage."""
    return (*terms.roots, terms.policy.cwd, *terms.policy.writable_roots)


def _asked_for(grant: Grant | None) -> str | None:
    if grant is None:
        return None
    wants = []
    if grant.write:
        wants.append("may write in " + ", ".join(grant.write))
    if grant.network:
        wants.append("may use the whole network")
    elif grant.hosts:
        wants.append("may reach " + ", ".join(grant.hosts))
    return f"For this one call the command {' and '.join(wants)}."


def _no(answer: Answer, question: CommandQuestion, ask: Ask | None) -> str:
    who = "The user" if answer.by == "person" else "The policy"
    if question.outside:
        what = "to run this outside of the sandbox"
    elif question.grant is not None:
        what = "to let this command have more than the sandbox gives"
    else:
        what = "to run this"
    why = f" It was asked because: {ask.reason}" if ask is not None and not question.outside else ""
    if answer.by == "policy" and answer.reason:
        why = f" {answer.reason}"
    return (
        f"{who} declined {what}. Nothing was run.{why} Do not try to get the same done in another "
        "way; go on without it, or ask what to do instead."
    )


def _judged(answer: Answer) -> str:
    return (
        f"A reviewer refused to let this run: {answer.reason or 'it gave no reason.'} Nothing was "
        "run. Do not try to get the same done in another way; go on without it, or say in your "
        "answer what is missing."
    )


def _network(policy: Policy) -> str:
    match policy.network.access:
        case "open":
            return "open"
        case "hosts":
            return f"closed but for {', '.join(policy.network.allow) or 'no host'}"
        case "off":
            return "closed"
