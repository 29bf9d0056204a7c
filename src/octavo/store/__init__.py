"""What stays when octavo ends: a log for each thread, and the outputs too long for a model.

`rollout` writes a thread's log and `reading` reads one back; `find` says which logs there are.
`kept` keeps the whole output of a command, `diagnostics` what octavo itself did. Nothing here
knows what events mean: that is `protocol.fold`. Everything is made for its owner's eyes only
(files 0600, folders 0700), and the log is the only truth: whatever else is written can be deleted.
"""
