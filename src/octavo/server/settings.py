"""Answers about what holds for the whole server: models, the account, permission profiles."""

from __future__ import annotations

from pathlib import Path

from octavo.config.auth import delete_key, write_key
from octavo.config.load import Loaded, load
from octavo.model import catalog
from octavo.model.keys import find_key, find_provider, needs_key
from octavo.protocol import methods as m
from octavo.protocol import settings as s
from octavo.protocol.errors import UsageError
from octavo.protocol.notifications import AccountUpdated, LoginCompleted
from octavo.server.connection import Handler, Request
from octavo.server.pages import page
from octavo.server.server import Server

EFFORT_WORDS = {
    "none": "Answers without reasoning first",
    "minimal": "Hardly any reasoning",
    "low": "Quick, with light reasoning",
    "medium": "Balances speed and depth",
    "high": "More depth for hard problems",
    "xhigh": "Still more depth",
    "max": "As much as the model can",
}


async def list_models(request: Request) -> s.ModelListResult:
    """model/list: the default first, then as the catalog has them"""
    params = request.params(s.ModelListParams)
    loaded = load_for(request.server)
    default = loaded.settings.model or catalog.default_model(
        loaded.settings.model_provider or "openai"
    )
    known = catalog.catalog().models
    names = [*([default] if default else []), *(name for name in known if name != default)]
    models = [_model(name, default) for name in names]
    if not params.include_hidden:
        models = [model for model in models if not model.hidden]
    return s.ModelListResult(*page(models, params.cursor, params.limit))


def _model(name: str, default: str | None) -> s.Model:
    info = catalog.find(name)
    efforts = info.efforts or ("none",)
    window = f"{info.context_window:,} tokens"
    return s.Model(
        id=name,
        model=name,
        display_name=name,
        description=f"Reads {window}." if info.known else f"Not known; {window} are assumed.",
        hidden=info.family and name != default,
        is_default=name == default,
        default_reasoning_effort=info.default_effort or efforts[-1],
        supported_reasoning_efforts=tuple(
            s.ReasoningEffortOption(effort, EFFORT_WORDS.get(effort, effort)) for effort in efforts
        ),
        input_modalities=("text", "image") if info.images else ("text",),
        octavo_context_window=info.context_window,
    )


async def read_account(request: Request) -> s.AccountReadResult:
    """account/read"""
    request.params(s.AccountReadParams)
    loaded = load_for(request.server)
    env = request.server.launch.env
    provider, config = find_provider(None, loaded.settings, env)
    found = find_key(provider, config, loaded, env)
    return s.AccountReadResult(None if found is None else s.ApiKeyAccount(), needs_key(config))


async def login(request: Request) -> s.LoginStartResult:
    """account/login/start: stores the key of the configured provider"""
    params = request.params(s.LoginStartParams)
    if params.type_ != "apiKey":
        raise UsageError(
            f"One cannot log in with {params.type_[:40]!r} here.",
            hint='Give an API key: {"type": "apiKey", "apiKey": "…"}.',
        )
    loaded = load_for(request.server)
    provider, config = find_provider(None, loaded.settings, request.server.launch.env)
    if not needs_key(config):
        raise UsageError(f"{provider} needs no key.")
    store = loaded.settings.cli_auth_credentials_store
    write_key(provider, params.api_key or "", home=loaded.home, store=store)
    request.server.tell_all(LoginCompleted(success=True))
    request.server.tell_all(AccountUpdated("apikey"))
    return s.LoginStartResult()


async def cancel_login(request: Request) -> s.LoginCancelResult:
    """account/login/cancel"""
    request.params(s.LoginCancelParams)
    return s.LoginCancelResult()


async def logout(request: Request) -> m.Nothing:
    """account/logout: that there was no key is not an error"""
    request.params(m.Nothing)
    loaded = load_for(request.server)
    delete_key(loaded.settings.model_provider or "openai", home=loaded.home)
    request.server.tell_all(AccountUpdated())
    return m.Nothing()


async def list_profiles(request: Request) -> s.PermissionProfileListResult:
    """permissionProfile/list: the built-in ones, then the settings' own"""
    params = request.params(s.PermissionProfileListParams)
    loaded = load_for(request.server, params.cwd)
    profiles = [
        s.PermissionProfile(":read-only", "Reads; writes nothing", True),
        s.PermissionProfile(":workspace", "Writes in the workspace", True),
        *(s.PermissionProfile(name, None, True) for name in sorted(loaded.settings.permissions)),
    ]
    return s.PermissionProfileListResult(*page(profiles, params.cursor, params.limit))


def load_for(server: Server, cwd: str | None = None) -> Loaded:
    """The settings as the server was started with them, in `cwd` or where it runs."""
    launch = server.launch
    return load(
        cwd=Path(cwd or ".").absolute(),
        env=launch.env,
        profile=launch.profile,
        overrides=launch.overrides,
        flags=launch.flags,
        strict=launch.strict_config,
        ignore_user_config=launch.ignore_user_config,
    )


HANDLERS: dict[str, Handler] = {
    s.MODEL_LIST.name: list_models,
    s.ACCOUNT_READ.name: read_account,
    s.LOGIN_START.name: login,
    s.LOGIN_CANCEL.name: cancel_login,
    s.LOGOUT.name: logout,
    s.PERMISSION_PROFILES.name: list_profiles,
}
