"""`octavo acp`: octavo as an agent of the Agent Client Protocol, for Zed, JetBrains and others.

A client of the app-server and nothing else. `agent` answers the editor's requests, a `session` is
one thread of theirs, `updates` and `shown` say what happens in their words, `permissions` hands
them the questions; the protocol itself is the official package's, which only this face imports.

What an editor says counts as its person's word where a person gave it there: an answer to a
question, a chosen mode. No mode widens the sandbox beyond writing in the workspace.
"""
