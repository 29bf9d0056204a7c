"""The inside of the cage: what runs in `python -I -S`, apart from octavo.

These modules build the walls and hold the commands. They import only each other and what the
interpreter has built in or compiled, because their start is waited for; nothing of octavo or of
site-packages is reachable here. The supervisor talks to them over sockets, in `words`.
"""
