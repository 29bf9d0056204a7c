"""What the methods about skills do. Loaded when the first of them is called."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio.to_thread

from octavo.agent.skill_source import fetch, read_source
from octavo.agent.skills import look
from octavo.config.load import Loaded, load
from octavo.context.skills import FILE, Root, Skill, SkillError, manage
from octavo.context.skills.find import Found
from octavo.context.skills.folder import FILE_LIMIT_BYTES, read_folder
from octavo.context.skills.front_matter import front_matter
from octavo.context.skills.header import advice, read_header
from octavo.context.skills.lock import Locks, Pin
from octavo.context.skills.reading import read_skill_file
from octavo.context.skills.roots import IN_REPOSITORY
from octavo.protocol import skills as s
from octavo.protocol.errors import UsageError
from octavo.protocol.visible import visible, visible_line
from octavo.server.connection import Request

SHOWN_BYTES = 256 << 10

T = TypeVar("T")
Args = TypeVarTuple("Args")


class _Place:
    """The skills as they are in one working directory."""

    def __init__(self, request: Request, cwd: str | None) -> None:
        launch = request.server.launch
        self.env = launch.env
        self.cwd = Path(os.path.abspath(cwd or "."))
        if not self.cwd.is_dir():
            raise UsageError(f"{self.cwd} is not a directory.")
        self.loaded: Loaded = load(
            cwd=self.cwd,
            env=launch.env,
            profile=launch.profile,
            overrides=launch.overrides,
            flags=launch.flags,
            strict=launch.strict_config,
            ignore_user_config=launch.ignore_user_config,
        )
        self.home = self.loaded.home

    def found(self) -> Found:
        return look(self.loaded, self.env, self.cwd)

    def one(self, name: str) -> Skill:
        named = name if "/" not in name else str(self.cwd / os.path.expanduser(name))
        return manage.find_one(self.found().skills, named)

    def root(self, place: s.Place) -> Root:
        """Return the root a new skill is put into."""
        if place == "user":
            return Root(self.home / "skills", "user")
        top = self.loaded.project_root
        inside = Path(os.path.realpath(top))
        return Root(top / IN_REPOSITORY, "repo", inside=inside, trusted=self.loaded.trusted)

    def info(self, skill: Skill, locks: Locks | None = None) -> s.SkillInfo:
        locks = locks or Locks(self.home)
        try:
            pins = locks.pins(skill.root, skill.name)
        except SkillError:
            pins = []
        pin = pins[-1] if pins else Pin("", {})
        return s.SkillInfo(
            name=skill.name,
            description=skill.description,
            path=str(skill.file),
            root=str(skill.root.path),
            scope=skill.root.scope,
            state=skill.state,
            reason=skill.reason,
            trusted=skill.root.trusted,
            pinned=bool(pins),
            source=pin.source,
            source_path=pin.path,
            ref=pin.ref,
            commit=pin.commit,
            edited=pin.edited,
            sha256=pin.sha256,
        )


async def list_as_codex(request: Request) -> s.SkillsListResult:
    """skills/list"""
    params = request.params(s.SkillsListParams)

    def entry(cwd: str | None) -> s.SkillsListEntry:
        place = _Place(request, cwd)
        found = place.found()
        listed = [skill for skill in found.skills if skill.state in ("ok", "disabled")]
        wrong = [skill for skill in found.skills if skill.state in ("invalid", "changed")]
        return s.SkillsListEntry(
            cwd=str(place.cwd),
            skills=tuple(
                s.SkillMetadata(
                    skill.name,
                    skill.description,
                    str(skill.file),
                    skill.root.scope,
                    enabled=skill.state == "ok",
                )
                for skill in listed
            ),
            errors=tuple(s.SkillErrorInfo(str(skill.file), skill.reason) for skill in wrong),
        )

    cwds: tuple[str | None, ...] = params.cwds or (None,)
    return s.SkillsListResult(tuple([await _aside(entry, cwd) for cwd in cwds]))


async def list_all(request: Request) -> s.SkillsDetailsResult:
    """octavo/skills/list: in order of precedence, those that are not used too"""
    params = request.params(s.CwdParams)

    def details() -> s.SkillsDetailsResult:
        place = _Place(request, params.cwd)
        found, locks = place.found(), Locks(place.home)
        infos = tuple(place.info(skill, locks) for skill in found.skills)
        return s.SkillsDetailsResult(infos, found.problems)

    return await _aside(details)


async def read(request: Request) -> s.SkillReadResult:
    """octavo/skills/read"""
    params = request.params(s.SkillNameParams)

    def found() -> s.SkillReadResult:
        place = _Place(request, params.cwd)
        skill = place.one(params.name)
        try:
            data, _ = read_skill_file(skill.folder, skill.root, SHOWN_BYTES)
        except SkillError as error:
            raise SkillError(f"{visible_line(str(skill.folder))}: {error}") from None
        try:
            files = tuple(map(visible_line, read_folder(skill.folder).entries))
        except SkillError as error:
            files = (str(error),)
        text = visible(data.decode("utf-8", "replace"))
        try:
            header = read_header(data, skill.name)
        except SkillError:
            return s.SkillReadResult(skill=place.info(skill), text=text, files=files)
        return s.SkillReadResult(
            skill=place.info(skill),
            text=text,
            files=files,
            license=header.license,
            compatibility=header.compatibility,
            metadata=dict(header.metadata),
            allowed_tools=header.allowed_tools,
        )

    return await _aside(found)


async def check(request: Request) -> s.SkillCheckResult:
    """octavo/skills/check: of any folder, whether it is in a root or not"""
    params = request.params(s.SkillCheckParams)

    def checked() -> s.SkillCheckResult:
        path = os.path.abspath(os.path.expanduser(params.path))
        folder = Path(os.path.dirname(path) if os.path.basename(path) == FILE else path)
        if not folder.is_dir():
            raise UsageError(f"{visible_line(params.path)} is not a folder.")
        try:
            data, _ = read_skill_file(folder, Root(folder.parent, "user"), FILE_LIMIT_BYTES)
            header = read_header(data, folder.name)
            body = data[front_matter(data)[1] :]
            if b"\0" in body:
                raise SkillError(f"{FILE} is a binary file, not text.")
            body.decode()
            read_folder(folder)
        except SkillError as error:
            return s.SkillCheckResult((str(error),), ())
        except UnicodeDecodeError:
            return s.SkillCheckResult((f"{FILE} is not UTF-8 text.",), ())
        hidden = [] if visible(body.decode()) == body.decode() else [_HIDDEN]
        return s.SkillCheckResult((), (*advice(header, body), *hidden))

    return await _aside(checked)


_HIDDEN = "The instructions have characters that are not seen; they are shown as ⟨U+…⟩."


async def create(request: Request) -> s.SkillCreateResult:
    """octavo/skills/create"""
    params = request.params(s.SkillCreateParams)

    def created() -> s.SkillCreateResult:
        root = _Place(request, params.cwd).root(params.place)
        return s.SkillCreateResult(str(manage.create(root, params.name, params.description)))

    return await _aside(created)


async def add(request: Request) -> s.SkillAddResult:
    """octavo/skills/add: answered when it is there"""
    params = request.params(s.SkillAddParams)
    place = _Place(request, params.cwd)
    source = read_source(params.source, path=params.path, ref=params.ref, cwd=place.cwd)
    fetched = await fetch(source, place.env, place.home)

    def added() -> s.SkillAddResult:
        contents = fetched.contents
        try:
            name = manage.named_header(contents).name
        except SkillError as error:
            shown = visible_line(f"{fetched.source} {fetched.path}".strip())
            raise SkillError(f"{shown} is no valid skill: {error}") from None
        if params.name is not None and params.name != name:
            name, contents = params.name, manage.renamed(contents, params.name)
        pin = Pin("", {}, fetched.source, fetched.path, fetched.ref, fetched.commit)
        root = place.root(params.place)
        folder = manage.install(root, name, contents, pin, place.home)
        entries = contents.entries
        return s.SkillAddResult(
            place.info(manage.find_one(place.found().skills, str(folder))),
            tuple(map(visible_line, entries)),
            tuple(visible_line(path) for path, entry in entries.items() if entry.executable),
        )

    return await _aside(added)


async def remove(request: Request) -> s.SkillRemoveResult:
    """octavo/skills/remove"""
    params = request.params(s.SkillRemoveParams)

    def removed() -> s.SkillRemoveResult:
        place = _Place(request, params.cwd)
        skill = place.one(params.name)
        manage.remove(skill, place.home, force=params.force)
        return s.SkillRemoveResult(str(skill.folder))

    return await _aside(removed)


async def change(request: Request) -> s.SkillChangeResult:
    """octavo/skills/change"""
    params = request.params(s.SkillNameParams)

    def changed() -> s.SkillChangeResult:
        place = _Place(request, params.cwd)
        skill = place.one(params.name)
        found = manage.change_of(skill, place.home)
        return s.SkillChangeResult(place.info(skill), found.sha256, found.lines, found.agreed)

    return await _aside(changed)


async def accept(request: Request) -> s.SkillResult:
    """octavo/skills/accept: exactly what `octavo/skills/change` showed"""
    params = request.params(s.SkillAcceptParams)

    def accepted() -> s.SkillResult:
        place = _Place(request, params.cwd)
        manage.accept(place.one(params.name), params.sha256, place.home)
        return s.SkillResult(place.info(place.one(params.name)))

    return await _aside(accepted)


async def _aside(work: Callable[[Unpack[Args]], T], *args: *Args) -> T:
    """Do what reads or writes many files beside the loop."""
    return await anyio.to_thread.run_sync(work, *args)


HANDLERS: dict[str, Callable[[Request], Awaitable[Any]]] = {
    s.SKILLS_LIST.name: list_as_codex,
    s.SKILLS_DETAILS.name: list_all,
    s.SKILLS_READ.name: read,
    s.SKILLS_CHECK.name: check,
    s.SKILLS_CREATE.name: create,
    s.SKILLS_ADD.name: add,
    s.SKILLS_REMOVE.name: remove,
    s.SKILLS_CHANGE.name: change,
    s.SKILLS_ACCEPT.name: accept,
}
