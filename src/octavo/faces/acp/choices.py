"""What a person chooses for a session in their editor: mode, model, effort.

A choice goes with the next turn and stays. The modes are two sandboxes and whether octavo asks;
none is wider than writing in the workspace. Where the person's own settings are (no sandbox, one
around octavo), there is a mode for that too, which they chose outside of the editor.
"""

from __future__ import annotations

from typing import Any

from acp import schema as acp

from octavo.protocol import methods as m
from octavo.protocol.settings import Model

READ_ONLY, ASK, AUTO, SETTINGS = "read-only", "ask", "auto", "settings"
_NAMES = {
    READ_ONLY: ("Read only", "Commands change nothing; octavo asks before anything else."),
    ASK: ("Ask", "Writes in the workspace; what cannot be undone, or needs more, is asked about."),
    AUTO: ("Don't ask", "Writes in the workspace; what would need a yes is refused."),
    SETTINGS: ("As in the settings", "The sandbox that octavo's settings name."),
}


class UnknownChoice(ValueError):
    """There is no such mode, option or value."""


class Choices:
    """The choices of one session.

    Attributes:
        mode, model, effort: what holds, from the next turn on.
    """

    def __init__(self, settings: m.ThreadResult, models: tuple[Model, ...]) -> None:
        self._initial = settings
        self._models = {model.model: model for model in models}
        self.mode = _mode_of(settings)
        self.model = settings.model
        self.effort = settings.reasoning_effort
        self._changed: dict[str, Any] = {}

    def take(self) -> dict[str, Any]:
        """Return the fields of `TurnStartParams` for what changed since, once."""
        changed, self._changed = self._changed, {}
        return changed

    def put_back(self, changed: dict[str, Any]) -> None:
        """Have what was taken go with the next turn instead; what was chosen since goes before."""
        self._changed = changed | self._changed

    def set_mode(self, mode: str) -> None:
        """Raises UnknownChoice."""
        if mode not in self._modes():
            raise UnknownChoice(f"There is no mode {mode!r}.")
        self.mode = mode
        self._changed |= {
            "sandbox_policy": _sandbox(mode, self._initial.sandbox),
            "approval_policy": self._approval(mode),
        }

    def set_option(self, option: str, value: str | bool) -> None:
        """Raises UnknownChoice."""
        match option:
            case "mode":
                self.set_mode(str(value))
            case "model" if value == self.model or value in self._models:
                self.model = str(value)
                self.effort = self._default_effort()
                self._changed |= {"model": self.model, "effort": self.effort}
            case "effort" if value in self._efforts():
                self.effort = str(value)
                self._changed["effort"] = self.effort
            case _:
                raise UnknownChoice(f"There is no {option!r} that is {value!r}.")

    def mode_state(self) -> acp.SessionModeState:
        """The modes, for clients that know no options."""
        modes = [
            acp.SessionMode(id=mode, name=_NAMES[mode][0], description=_NAMES[mode][1])
            for mode in self._modes()
        ]
        return acp.SessionModeState(current_mode_id=self.mode, available_modes=modes)

    def options(self) -> list[acp.SessionConfigOptionSelect | acp.SessionConfigOptionBoolean]:
        """Everything that can be chosen."""
        modes = [(mode, *_NAMES[mode]) for mode in self._modes()]
        models = [(one.model, one.display_name, one.description) for one in self._models.values()]
        if self.model not in self._models:
            models.insert(0, (self.model, self.model, "As in the settings."))
        found = [
            _select("mode", "Mode", self.mode, modes),
            _select("model", "Model", self.model, models),
        ]
        if efforts := self._efforts():
            words = [(word, word.capitalize(), text) for word, text in efforts.items()]
            current = self.effort if self.effort in efforts else self._default_effort()
            found.append(_select("effort", "Reasoning", current or words[0][0], words))
        return [*found]

    def _modes(self) -> list[str]:
        own = _mode_of(self._initial) == SETTINGS
        return [*([SETTINGS] if own else []), READ_ONLY, ASK, AUTO]

    def _efforts(self) -> dict[str, str]:
        model = self._models.get(self.model)
        efforts = () if model is None else model.supported_reasoning_efforts
        return {one.reasoning_effort: one.description for one in efforts} if efforts[1:] else {}

    def _default_effort(self) -> str | None:
        model = self._models.get(self.model)
        return None if model is None else model.default_reasoning_effort

    def _approval(self, mode: str) -> m.ApprovalPolicy:
        initial = self._initial.approval_policy
        if mode == AUTO:
            return "never"
        return initial if mode == SETTINGS or initial != "never" else "on-request"


def _mode_of(settings: m.ThreadResult) -> str:
    match settings.sandbox.type_:
        case "readOnly":
            return READ_ONLY
        case "workspaceWrite":
            return AUTO if settings.approval_policy == "never" else ASK
        case _:
            return SETTINGS


def _sandbox(mode: str, initial: m.SandboxPolicy) -> m.SandboxPolicy:
    """The network is as the settings have it, in every mode that has a sandbox."""
    confined = initial.type_ in ("readOnly", "workspaceWrite")
    network = initial.network_access if confined else False
    if mode == SETTINGS:
        return initial
    if mode == READ_ONLY:
        return m.SandboxPolicy("readOnly", network_access=network)
    if initial.type_ == "workspaceWrite":
        return initial
    return m.SandboxPolicy("workspaceWrite", network_access=network)


def _select(
    name: str, title: str, current: str, values: list[tuple[str, str, str]]
) -> acp.SessionConfigOptionSelect:
    category: Any = {"effort": "thought_level"}.get(name, name)
    return acp.SessionConfigOptionSelect(
        type="select",
        id=name,
        name=title,
        category=category,
        current_value=current,
        options=[
            acp.SessionConfigSelectOption(value=value, name=label, description=text)
            for value, label, text in values
        ],
    )
