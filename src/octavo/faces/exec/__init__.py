"""`octavo exec`: one turn without anybody there.

`run` is the flow; `prompt` what is asked; `json_events` and `transcript` are the two ways to show
what happens, for programs on stdout and for people on stderr.
"""
