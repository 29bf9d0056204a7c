"""MCP servers: programs and services of others that give the model tools.

A server is hostile. What speaks with it, the official `mcp` package, runs in the server's own cage
(`host`), one process a server; octavo itself reads only short, bounded frames from there
(`connection`). What a server says of its tools is pinned (`pins`), and what it says of their
harmlessness counts only once a person has agreed to it (`judging`).
"""
