"""Methods about what holds for the whole server: models, the account, permission profiles.

Names and shapes are the app-server's v2 (Codex 0.169).
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

from octavo.protocol.methods import Method, Nothing


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class PageParams(_Wire, frozen=True):
    """Which part of a list: at most `limit` entries from where the last part said it ended."""

    cursor: str | None = None
    limit: int | None = None


class ModelListParams(_Wire, frozen=True):
    """`include_hidden`: families of models as well, whose names others begin with."""

    cursor: str | None = None
    limit: int | None = None
    include_hidden: bool | None = None


class ReasoningEffortOption(_Wire, frozen=True):
    reasoning_effort: str
    description: str


class Model(_Wire, frozen=True, kw_only=True):
    """A model that octavo knows; whether it may be used, its provider says."""

    id: str
    model: str
    display_name: str
    description: str
    hidden: bool
    is_default: bool
    default_reasoning_effort: str
    supported_reasoning_efforts: tuple[ReasoningEffortOption, ...]
    input_modalities: tuple[Literal["text", "image"], ...]
    supports_personality: bool = False
    upgrade: None = None
    octavo_context_window: int
    """Tokens of prompt and answer together."""


class ModelListResult(_Wire, frozen=True):
    data: tuple[Model, ...]
    next_cursor: str | None = None


class AccountReadParams(_Wire, frozen=True):
    refresh_token: bool | None = None


class ApiKeyAccount(_Wire, frozen=True):
    """There is a key for the provider. It is never told."""

    type_: Literal["apiKey"] = msgspec.field(name="type", default="apiKey")


class AccountReadResult(_Wire, frozen=True):
    """`requires_openai_auth`: the configured provider cannot be asked without a key."""

    account: ApiKeyAccount | None
    requires_openai_auth: bool


class LoginStartParams(_Wire, frozen=True):
    """Only "apiKey" is known. The key is stored for the configured provider."""

    type_: str = msgspec.field(name="type")
    api_key: str | None = None


class LoginStartResult(_Wire, frozen=True):
    type_: Literal["apiKey"] = msgspec.field(name="type", default="apiKey")


class LoginCancelParams(_Wire, frozen=True):
    login_id: str


class LoginCancelResult(_Wire, frozen=True):
    """A key is stored at once, so there is never anything to cancel."""

    status: Literal["notFound"] = "notFound"


class PermissionProfileListParams(_Wire, frozen=True):
    cursor: str | None = None
    limit: int | None = None
    cwd: str | None = None


class PermissionProfile(_Wire, frozen=True):
    """One that may be chosen; `allowed`: it can be used here."""

    id: str
    description: str | None
    allowed: bool


class PermissionProfileListResult(_Wire, frozen=True):
    data: tuple[PermissionProfile, ...]
    next_cursor: str | None = None


class ConfigReadParams(_Wire, frozen=True):
    """Of a thread in `cwd`; the server's own directory by default."""

    cwd: str | None = None
    include_layers: bool | None = None


class ConfigSource(_Wire, frozen=True, omit_defaults=True):
    """Who set a value: a file, or the command line ("sessionFlags")."""

    type_: Literal["system", "user", "project", "sessionFlags"] = msgspec.field(name="type")
    file: str | None = None
    profile: str | None = None
    dot_codex_folder: str | None = None


class ConfigOrigin(_Wire, frozen=True):
    """`version` is a digest of the file; empty where there is none."""

    name: ConfigSource
    version: str


class ConfigLayer(_Wire, frozen=True):
    """What one file, or the command line, sets, with secrets masked."""

    name: ConfigSource
    version: str
    config: dict[str, Any]
    disabled_reason: None = None


class ConfigReadResult(_Wire, frozen=True):
    """The settings that hold, defaults too, with secrets masked; `origins` by dotted key.

    `layers` are there if they were asked for, the strongest first. The person's own is always
    among them: its version is what a write can expect.
    """

    config: dict[str, Any]
    origins: dict[str, ConfigOrigin]
    layers: tuple[ConfigLayer, ...] | None = None


MergeStrategy = Literal["replace", "upsert"]


class ConfigValueWriteParams(_Wire, frozen=True):
    """`key_path` is dotted, as in TOML. A value of null takes the key out.

    Attributes:
        merge_strategy: "upsert" lays a table over the one that is there; null takes out.
        file_path: the person's own file, or that of the profile the server was started with.
        expected_version: what `config/read` told of that file.
    """

    key_path: str
    value: Any
    merge_strategy: MergeStrategy
    file_path: str | None = None
    expected_version: str | None = None


class ConfigEdit(_Wire, frozen=True):
    key_path: str
    value: Any
    merge_strategy: MergeStrategy


class ConfigBatchWriteParams(_Wire, frozen=True):
    """All of the edits, in order, or none of them.

    Attributes:
        reload_user_config: ignored. New threads have the new settings; one that is loaded keeps
            those it was started with.
    """

    edits: tuple[ConfigEdit, ...]
    file_path: str | None = None
    expected_version: str | None = None
    reload_user_config: bool = False


class OverriddenMetadata(_Wire, frozen=True):
    """A stronger layer sets what was written, too."""

    message: str
    overriding_layer: ConfigOrigin
    effective_value: Any


class ConfigWriteResult(_Wire, frozen=True):
    """The file is written. "okOverridden": what was written does not count here."""

    status: Literal["ok", "okOverridden"]
    version: str
    file_path: str
    overridden_metadata: OverriddenMetadata | None = None


class ConfigRequirementsReadResult(_Wire, frozen=True):
    """There is no way to enforce settings, so there are none that are."""

    requirements: None = None
    supports_independent_speed_modes: None = None


CONFIG_READ = Method("config/read", ConfigReadParams, ConfigReadResult)
CONFIG_VALUE_WRITE = Method("config/value/write", ConfigValueWriteParams, ConfigWriteResult)
CONFIG_BATCH_WRITE = Method("config/batchWrite", ConfigBatchWriteParams, ConfigWriteResult)
CONFIG_REQUIREMENTS = Method("configRequirements/read", Nothing, ConfigRequirementsReadResult)
MODEL_LIST = Method("model/list", ModelListParams, ModelListResult)
ACCOUNT_READ = Method("account/read", AccountReadParams, AccountReadResult)
LOGIN_START = Method("account/login/start", LoginStartParams, LoginStartResult)
LOGIN_CANCEL = Method("account/login/cancel", LoginCancelParams, LoginCancelResult)
LOGOUT = Method("account/logout", Nothing, Nothing)
PERMISSION_PROFILES = Method(
    "permissionProfile/list", PermissionProfileListParams, PermissionProfileListResult
)
