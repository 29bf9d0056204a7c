"""Settings: where they come from, what they may be, and the files that are octavo's own.

`load.load` turns every layer (system, user, profile, trusted project, `-c`, flags) into one frozen
`settings.Settings` and tells where each value came from. `trust` and `auth` own their files. A
project's files are hostile until its directory is trusted, and even then may set only what
`keys.PROJECT_KEYS` lists.
"""
