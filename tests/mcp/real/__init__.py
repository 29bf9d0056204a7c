"""Servers that nobody here wrote; `make mcp-servers` fetches them."""
