"""Hooks: programs of the person, or of a project they agreed to, that run beside a turn.

A hook gets one JSON object on its standard input and answers by its exit status and what it prints;
see `reply`. It runs in the thread's cage without a network, and nothing it says widens that cage or
stands for a person's yes. What it says is somebody else's words: the model gets them labelled and
bounded, with nothing hidden. `wraps` puts hooks around what the loop is given; a thread without
hooks loads nothing of this package.
"""
