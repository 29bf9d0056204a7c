"""The tests; they mirror `src/octavo`."""
