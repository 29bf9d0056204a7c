"""Settings, their files, and what may stand in them."""
