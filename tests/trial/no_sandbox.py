"""Runs a program where nothing can be confined: `python no_sandbox.py PROGRAM [ARGUMENT …]`.

A system call filter refuses new namespaces and Landlock, as the profile of a container may.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from octavo.sandbox.cage import abi

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_NEW_USER_AND_MORE = 0x7E020000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def _filter() -> bytes:
    _, numbers = abi.TABLES[abi.MACHINE]
    steps = [
        (_LOAD, 0, 0, 0),
        (_EQUAL, numbers["unshare"], 7, 0),
        (_EQUAL, 444, 7, 0),  # landlock_create_ruleset, on every machine
        (_EQUAL, 435, 6, 0),  # clone3, on every machine
        (_EQUAL, numbers["clone"], 1, 0),
        (_RETURN, _ALLOW, 0, 0),
        (_LOAD, 16, 0, 0),
        (_ANY_BIT, _NEW_USER_AND_MORE, 1, 0),
        (_RETURN, _ALLOW, 0, 0),
        (_RETURN, _EPERM, 0, 0),
        (_RETURN, _ENOSYS, 0, 0),
    ]
    return b"".join(
        struct.pack("<HBBI", code, if_true, if_false, operand)
        for code, operand, if_true, if_false in steps
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def main() -> None:
    code = _filter()
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
