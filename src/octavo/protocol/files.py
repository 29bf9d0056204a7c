"""Methods about files, and about finding them by parts of their names.

Names and shapes are the app-server's v2 (Codex 0.169). Paths are absolute.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

import msgspec

from octavo.protocol.methods import Method, Nothing
from octavo.protocol.notifications import FuzzyFileSearchResult


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class FsPathParams(_Wire, frozen=True):
    path: str


class FsReadFileResult(_Wire, frozen=True):
    data_base64: str


class FsWriteFileParams(_Wire, frozen=True):
    """The file is made, or its content replaced; its directory has to be there."""

    path: str
    data_base64: str


class FsCreateDirectoryParams(_Wire, frozen=True):
    """`recursive`, which it is unless said otherwise: parents too, and it may be there already."""

    path: str
    recursive: bool | None = None


class FsMetadata(_Wire, frozen=True):
    """Of what a path leads to. `created_at_ms` is 0: it is not known."""

    is_directory: bool
    is_file: bool
    is_symlink: bool
    created_at_ms: int
    modified_at_ms: int


class FsDirectoryEntry(_Wire, frozen=True):
    file_name: str
    is_directory: bool
    is_file: bool


class FsReadDirectoryResult(_Wire, frozen=True):
    entries: tuple[FsDirectoryEntry, ...]


class FsRemoveParams(_Wire, frozen=True):
    """Both are true unless said otherwise. `force`: that there is nothing is no error."""

    path: str
    recursive: bool | None = None
    force: bool | None = None


class FsCopyParams(_Wire, frozen=True):
    """`recursive` is needed for a directory."""

    source_path: str
    destination_path: str
    recursive: bool = False


class FsWatchParams(_Wire, frozen=True):
    """`watch_id` is the client's own, for `fs/changed` and `fs/unwatch`."""

    watch_id: str
    path: str


class FsWatchResult(_Wire, frozen=True):
    """`path` without links."""

    path: str


class FsUnwatchParams(_Wire, frozen=True):
    watch_id: str


class FuzzyFileSearchParams(_Wire, frozen=True):
    """`cancellation_token`: a later search with the same one ends this one, with nothing found."""

    query: str
    roots: tuple[str, ...]
    cancellation_token: str | None = None


class FuzzyFileSearchResponse(_Wire, frozen=True):
    """The best first, at most 50."""

    files: tuple[FuzzyFileSearchResult, ...]


class SearchSessionStartParams(_Wire, frozen=True):
    """`session_id` is the client's own. One that is there already begins anew."""

    session_id: str
    roots: tuple[str, ...]


class SearchSessionUpdateParams(_Wire, frozen=True):
    """What is typed by now, all of it."""

    session_id: str
    query: str


class SearchSessionParams(_Wire, frozen=True):
    session_id: str


FS_READ_FILE = Method("fs/readFile", FsPathParams, FsReadFileResult)
FS_WRITE_FILE = Method("fs/writeFile", FsWriteFileParams, Nothing)
FS_CREATE_DIRECTORY = Method("fs/createDirectory", FsCreateDirectoryParams, Nothing)
FS_GET_METADATA = Method("fs/getMetadata", FsPathParams, FsMetadata)
FS_READ_DIRECTORY = Method("fs/readDirectory", FsPathParams, FsReadDirectoryResult)
FS_REMOVE = Method("fs/remove", FsRemoveParams, Nothing)
FS_COPY = Method("fs/copy", FsCopyParams, Nothing)
FS_WATCH = Method("fs/watch", FsWatchParams, FsWatchResult)
FS_UNWATCH = Method("fs/unwatch", FsUnwatchParams, Nothing)
"""That there is no such watch is not an error."""
FUZZY_SEARCH = Method("fuzzyFileSearch", FuzzyFileSearchParams, FuzzyFileSearchResponse)
SEARCH_START = Method("fuzzyFileSearch/sessionStart", SearchSessionStartParams, Nothing)
"""Lists the files, once; `fuzzyFileSearch/sessionUpdated` tells what was found."""
SEARCH_UPDATE = Method("fuzzyFileSearch/sessionUpdate", SearchSessionUpdateParams, Nothing)
SEARCH_STOP = Method("fuzzyFileSearch/sessionStop", SearchSessionParams, Nothing)
"""That there is no such session is not an error."""
