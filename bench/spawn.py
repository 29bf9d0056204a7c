"""Run one program and say what it cost. A process of its own, and a small one on purpose.

Peak memory is counted from the fork on, so a large parent would be counted too: this file imports
nothing but `os`, `sys` and `time`, and is run without `site`.

    python -I -S spawn.py REPORT STDOUT STDERR SAMPLE program argument…

REPORT gets one line: start and end (CLOCK_MONOTONIC), peak bytes of the process, CPU seconds of it
and its descendants, peak bytes of the whole process tree (0 unless SAMPLE is "1", since watching a
tree costs the watched one time), and the exit code.
"""

import os
import sys
import time

SAMPLE_EVERY_S = 0.01


def tree(pid: int) -> list[int]:
    """Return `pid` and its descendants."""
    found = [pid]
    for parent in found:
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
            for task in tasks:
                with open(f"/proc/{parent}/task/{task}/children") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue
    return found


def proportional_bytes(pid: int) -> int:
    """Return what `pid` holds, a page shared by n processes counted as one n-th."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main() -> None:
    """Run the program, wait for it, write the report."""
    report, stdout, stderr, sample, *argv = sys.argv[1:]
    started_at = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    tree_bytes = 0
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG if sample == "1" else 0)
        if done:
            break
        tree_bytes = max(tree_bytes, sum(map(proportional_bytes, tree(pid))))
        time.sleep(SAMPLE_EVERY_S)
    ended_at = time.monotonic()
    peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu_s = used.ru_utime + used.ru_stime
    code = os.waitstatus_to_exitcode(status)
    with open(report, "w") as file:
        file.write(f"{started_at} {ended_at} {peak_bytes} {cpu_s} {tree_bytes} {code}\n")


if __name__ == "__main__":
    main()
