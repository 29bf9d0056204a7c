"""MCP servers: real programs in real cages, some of them hostile."""
