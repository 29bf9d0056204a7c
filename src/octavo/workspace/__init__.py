"""The user's repository: what git says about it."""
