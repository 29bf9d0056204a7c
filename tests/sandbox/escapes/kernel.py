"""System calls and devices that lead around the walls."""

from __future__ import annotations

from tests.sandbox.escapes import ways

WAYS = (
    *ways(
        make_a_user_namespace="call(libc.unshare(0x10000000))",
        make_a_namespace_by_clone="syscall(56, 220, 0x10000011, 0, 0, 0, 0) or os._exit(0)",
        ask_for_a_file_handle=(
            "syscall(303, 264, -100, WS.encode(), struct.pack('<Ii', 128, 0) + bytes(128),"
            " bytes(8), 0)"
        ),
        use_a_keyring="syscall(250, 219, 0, -3, 1)",
        add_a_key="syscall(248, 217, b'user', b'octavo', b'x', 1, -3)",
        take_a_descriptor_of_another_process=(
            "child = os.fork()\n"
            "if not child: signal.pause()\n"
            "try: syscall(438, 438, os.pidfd_open(child), 0, 0)\n"
            "finally: os.kill(child, 9)"
        ),
        plant_a_set_user_id_file="write(WS + '/suid'); os.chmod(WS + '/suid', 0o4755)",
        plant_a_set_group_id_file="write(WS + '/sgid'); os.chmod(WS + '/sgid', 0o2755)",
        create_a_set_user_id_file="os.open(WS + '/suid2', os.O_CREAT | os.O_WRONLY, 0o4755)",
        make_a_set_user_id_node="os.mknod(WS + '/suid3', 0o104755)",
    ),
    *ways(
        canary=False,
        make_a_namespace_by_clone3=(
            "syscall(435, 435, struct.pack('<8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)"
            " or os._exit(7)"
        ),
        make_a_mount_namespace="call(libc.unshare(0x20000))",
        make_a_time_namespace="call(libc.unshare(0x80))",
        mount_a_tmpfs="call(libc.mount(b'x', WS.encode(), b'tmpfs', 0, None))",
        mount_by_descriptors="syscall(430, 430, b'tmpfs', 0)",
        remount_the_root_writable="call(libc.mount(None, b'/', None, 32 | 4096, None))",
        unmount_a_mask="call(libc.umount2((HOME + '/.ssh').encode(), 2))",
        unmount_a_protected_name="call(libc.umount2((WS + '/.git').encode(), 2))",
        move_a_mount="syscall(429, 429, -100, WS.encode(), -100, OUT.encode(), 0)",
        copy_a_mount="syscall(428, 428, -100, b'/', 1)",
        change_mount_attributes=(
            "syscall(442, 442, -100, b'/', 0x8000, struct.pack('<4Q', 0, 1, 0, 0), 32)"
        ),
        change_the_root_directory="os.chroot(WS)",
        pivot_the_root="syscall(155, 41, WS.encode(), WS.encode())",
        open_by_handle="syscall(304, 265, -100, bytes(24), 0)",
        load_a_kernel_program="syscall(321, 280, 0, bytes(128), 128)",
        load_a_kernel_module="syscall(313, 273, 0, b'', 0)",
        load_another_kernel="syscall(246, 104, 0, 0, None, 0)",
        restart_the_machine="syscall(169, 142, 0, 0, 0, 0)",
        swap="syscall(167, 224, WS.encode(), 0)",
        keep_accounts="syscall(163, 89, (WS + '/file').encode())",
        set_the_clock="syscall(164, 170, bytes(16), None)",
        watch_performance_events="syscall(298, 241, bytes(112), 0, -1, -1, 0)",
        watch_the_file_system="syscall(300, 262, 0, 0)",
        set_up_an_io_uring="syscall(425, 425, 8, bytes(120))",
        handle_page_faults="syscall(323, 282, 1)",
        read_the_kernels_log="syscall(103, 116, 3, bytes(100), 100)",
        use_the_32_bit_calls=(
            "if not X86: raise OSError\n"
            "code = mmap.mmap(-1, 4096, prot=7)\n"
            "code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
            "at = ctypes.addressof(ctypes.c_char.from_buffer(code))\n"
            "if ctypes.CFUNCTYPE(ctypes.c_int)(at)() != os.getpid(): raise OSError"
        ),
        use_the_x32_calls="call(libc.syscall(ctypes.c_long(0x40000000 + 39)))",
        set_the_host_name="socket.sethostname(socket.gethostname())",
        write_proc_sys=(
            "v = open('/proc/sys/kernel/hostname').read()\nwrite('/proc/sys/kernel/hostname', v)"
        ),
        write_core_pattern=(
            "v = open('/proc/sys/kernel/core_pattern').read()\n"
            "write('/proc/sys/kernel/core_pattern', v)"
        ),
        trigger_sysrq="open('/proc/sysrq-trigger', 'w')",
        write_in_sys="open('/sys/kernel/mm/transparent_hugepage/enabled', 'w')",
        write_in_a_control_group=(
            "import glob\n"
            "for path in glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True)[:20]:\n"
            "    try: open(path, 'w').close(); break\n"
            "    except OSError: pass\n"
            "else: raise OSError"
        ),
        read_the_kernels_memory="open('/proc/kcore', 'rb').read(1)",
        open_the_disk=(
            "import glob\n"
            "disks = glob.glob('/dev/[vs]d?') + ['/dev/nvme0n1', '/dev/mem', '/dev/kmsg']\n"
            "opened = 0\n"
            "for disk in disks:\n"
            "    try: os.open(disk, os.O_RDONLY); opened += 1\n"
            "    except OSError: pass\n"
            "if not opened: raise OSError"
        ),
        make_a_disk_node=(
            "os.mknod(WS + '/disk', 0o60600, os.makedev(254, 0)); open(WS + '/disk')"
        ),
        open_the_fuse_device="os.open('/dev/fuse', os.O_RDWR)",
        open_the_virtual_machine_device="os.open('/dev/kvm', os.O_RDWR)",
        fake_a_key_press="import pty; m, s = pty.openpty(); fcntl.ioctl(s, 0x5412, b'x')",
        paste_into_the_console="import pty; m, s = pty.openpty(); fcntl.ioctl(s, 0x541C, b'\\x03')",
        write_in_run="write('/run/octavo-escape')",
        write_in_dev="write('/dev/octavo-escape')",
        use_the_machines_shared_memory=(
            "if len(open('/proc/sysvipc/shm').readlines()) == 1: raise OSError\n"
            "libc.shmctl.restype = ctypes.c_int; call(libc.shmctl(int(env['SHM']), 2, bytes(200)))"
        ),
    ),
)
