"""Logins at MCP servers over HTTP: OAuth 2.1, in cages of their own.

`login` gets tokens with a person's help, `renewal` keeps them fresh, `store` keeps them. What is
read from a server or its authorization server is read by `host`, in a cage that reaches only them;
octavo itself sees bounded frames (`words`) and believes nothing in them (`endpoints`).
"""
