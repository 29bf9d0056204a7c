"""Lines that are not shown: the line that stands for them where output is shown as it comes."""

from __future__ import annotations


def gap(lines: int) -> str:
    """Return the line that stands for so many others."""
    return f"… {lines} more {'line' if lines == 1 else 'lines'} …"


def lines_of_gap(line: str) -> int:
    """Return how many lines `line` stands for; 0 if it is one itself."""
    words = line.split(" ")
    if len(words) != 5 or not (words[1].isascii() and words[1].isdecimal()):
        return 0
    count = int(words[1][:12])
    return count if line == gap(count) else 0
