"""octavo: an open, multi-agent coding assistant."""

__version__ = "0.1.0"
