"""Attacks on octavo as a whole: a hostile model, repository or tool output, through the program."""
