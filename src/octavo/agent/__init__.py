"""One thread at work: the loop, and everything the loop is given.

`loop` is what a turn does and `step` what one response of the model does; both only emit events.
`journal` is the one door out. `thread` receives ops and runs turns one after another; `wiring` is
the one place where behaviour is put around what the loop is given.
"""
