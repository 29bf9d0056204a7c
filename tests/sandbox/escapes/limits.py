"""Using up what others need."""

from __future__ import annotations

from tests.sandbox.escapes import ways

WAYS = (
    *ways(
        make_an_endless_file=(
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "with open(WS + '/endless', 'wb') as file: file.truncate(65 << 30)"
        ),
    ),
    *ways(
        canary=False,
        leave_a_core_file="if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0: raise OSError",
        open_files_without_end=(
            "if resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 65536: raise OSError"
        ),
        raise_the_limit_of_open_files=(
            "resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))"
        ),
        raise_the_limit_of_file_sizes=(
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 50, 1 << 50))"
        ),
        be_spared_when_memory_runs_out="write('/proc/self/oom_score_adj', '-1000')",
        run_before_everybody_else="os.nice(-10)",
        run_in_real_time="os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    ),
)
