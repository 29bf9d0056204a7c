"""What git starts as its ssh in the cage: it hands its pipes out, and says what came of it.

It has no key, no agent and no network. Descriptor 3 leads to octavo (`ssh_door`), which reads the
arguments that git gave, and, if they are what a person was asked about, starts the person's own
ssh outside with git's pipes. This file is run as it is, by itself, so it imports nothing of octavo.
"""

from __future__ import annotations

import array
import os
import socket
import sys

LINE_FD = 3
WORDS_LIMIT_BYTES = 8192


def main() -> int:
    """Return the status that ssh ended with; 255 where octavo started none."""
    words = [os.environ.get("GIT_PROTOCOL", ""), *sys.argv[1:]]
    said = b"\0".join(map(os.fsencode, words))
    if len(said) > WORDS_LIMIT_BYTES:
        os.write(2, b"octavo: the arguments of ssh are too long.\n")
        return 255
    hear, tell = os.pipe()
    with socket.socket(fileno=LINE_FD) as line:
        lent = array.array("i", [0, 1, tell])
        line.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, lent)])
    for fd in (0, tell):  # 1 stays until the end: when it closes, git may end, and this with it
        os.close(fd)
    answer = b""
    while part := os.read(hear, 4096):
        answer += part
    if not answer:
        os.write(2, b"octavo: nobody started ssh for this call of git.\n")
        return 255
    os.write(2, answer[1:])
    return answer[0]


if __name__ == "__main__":
    raise SystemExit(main())
