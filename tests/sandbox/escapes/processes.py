"""Other processes: seen, signalled, read, joined; and what holds the command itself."""

from __future__ import annotations

from tests.sandbox.escapes import SEEN, ways

WAYS = (
    *ways(
        ask_whether_a_bystander_lives="os.kill(VICTIM, 0)",
        kill_a_bystander="os.kill(VICTIM, 9)",
        kill_a_bystander_by_its_descriptor=(
            "signal.pidfd_send_signal(os.pidfd_open(VICTIM), signal.SIGTERM)"
        ),
        kill_a_thread_of_a_bystander="syscall(234, 131, VICTIM, VICTIM, 15)",
        stop_a_bystander="os.kill(VICTIM, signal.SIGSTOP)",
        trace_a_bystander="call(libc.ptrace(16, VICTIM, 0, 0))",
        seize_a_bystander="call(libc.ptrace(0x4206, VICTIM, 0, 0))",
        read_a_bystanders_environment=("assert b'bystander' in read(f'/proc/{VICTIM}/environ')"),
        read_a_bystanders_memory_map="assert read(f'/proc/{VICTIM}/maps')",
        reach_through_a_bystanders_root="os.listdir(f'/proc/{VICTIM}/root/')",
        reach_through_a_bystanders_descriptors="os.readlink(f'/proc/{VICTIM}/fd/0')",
        limit_a_bystander="resource.prlimit(VICTIM, resource.RLIMIT_CPU, (1, 1))",
        make_a_bystander_be_killed_first=("write(f'/proc/{VICTIM}/oom_score_adj', '900')"),
        use_another_programs_shared_memory=(
            "number = int(env['SHM'])\n"
            "libc.shmat.restype = ctypes.c_void_p\n"
            "if libc.shmat(number, None, 0) == ctypes.c_void_p(-1).value: raise OSError"
        ),
    ),
    *ways(
        canary=False,
        read_a_bystanders_memory="open(f'/proc/{VICTIM}/mem', 'rb').read(1)",
        trace_the_init="call(libc.ptrace(16, INIT, 0, 0))",
        read_the_inits_memory="open(f'/proc/{INIT}/mem', 'rb')",
        read_the_inits_environment="read(f'/proc/{INIT}/environ')",
        use_the_inits_descriptors="os.readlink(f'/proc/{INIT}/fd/0')",
        take_a_descriptor_of_the_init="syscall(438, 438, os.pidfd_open(INIT), 0, 0)",
        compare_with_the_init="syscall(312, 272, os.getpid(), INIT, 1, 0, 0)",
        enter_a_namespace_of_the_init="call(libc.setns(os.open(f'/proc/{INIT}/ns/mnt', 0), 0))",
        inherit_a_descriptor=(
            "extra = [f for f in os.listdir('/proc/self/fd') if int(f) > 3]\n"
            "if not extra: raise OSError"
        ),
        inherit_octavos_environment="env['OCTAVO_HOME']",
        gain_privileges=(
            "status = open('/proc/self/status').read()\n"
            "none = 'CapEff:\\t0000000000000000' in status\n"
            "if 'NoNewPrivs:\\t1' in status and none: raise OSError"
        ),
        have_capabilities_left_to_gain=(
            "status = open('/proc/self/status').read()\n"
            "if os.getuid() or 'CapBnd:\\t0000000000000000' in status: raise OSError"
        ),
    ),
    *ways(
        gap=SEEN,
        see_a_bystander="os.stat(f'/proc/{VICTIM}')",
        see_what_a_bystander_runs="assert b'sleep' in read(f'/proc/{VICTIM}/cmdline')",
        see_other_processes=(
            "mine = {os.getpid(), os.getppid(), INIT}\n"
            "if not {int(n) for n in os.listdir('/proc') if n.isdigit()} - mine: raise OSError"
        ),
        be_nice_to_a_bystander="os.setpriority(os.PRIO_PROCESS, VICTIM, 19)",
        pin_a_bystander_to_a_processor="os.sched_setaffinity(VICTIM, {0})",
        open_a_bystanders_descriptor="os.pidfd_open(VICTIM)",
    ),
)
