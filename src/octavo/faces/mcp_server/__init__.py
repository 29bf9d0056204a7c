"""`octavo mcp-server`: octavo as tools of another program, over the Model Context Protocol.

A client of the app-server and nothing else. `tools` says what there is, `calls` is one turn that a
call began, `asking` hands a person the questions, `reading` shows a thread; the protocol itself is
the official package's, imported only here and by octavo's own MCP client.

Whoever calls a tool is a model, mostly, and its arguments are its words, not a person's: they can
ask for less than octavo's settings give, never for more, and for nothing outside of the directory
that a person started the server in. A person's word comes as an answer to an elicitation, and holds
for the thread at most.
"""
