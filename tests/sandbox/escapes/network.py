"""Reaching the machine's network, and sockets that other programs listen on."""

from __future__ import annotations

from tests.sandbox.escapes import ways

WAYS = (
    *ways(
        connect_to_a_port_of_the_machine="socket.create_connection(('127.0.0.1', PORT), 2)",
        connect_by_name="socket.create_connection(('localhost', PORT), 2)",
        send_a_datagram_to_the_machine=(
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
            "s.connect(('127.0.0.1', int(env['UDP']))); s.send(b'x'); s.recv(9)"
        ),
        connect_to_a_unix_socket="socket.socket(socket.AF_UNIX).connect(SOCK)",
        connect_through_a_link_to_a_socket=(
            "os.path.lexists(WS + '/k') or os.symlink(SOCK, WS + '/k')\n"
            "socket.socket(socket.AF_UNIX).connect(WS + '/k')"
        ),
        connect_through_proc_self_root=(
            "os.chdir('/proc/self/root' + WS); socket.socket(socket.AF_UNIX).connect('host.sock')"
        ),
        send_to_a_unix_socket=(
            "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', env['DGRAM'])"
        ),
        move_a_socket_away_and_connect=(
            "os.rename(SOCK, WS + '/moved.sock')\n"
            "socket.socket(socket.AF_UNIX).connect(WS + '/moved.sock')"
        ),
        connect_to_an_abstract_socket=("socket.socket(socket.AF_UNIX).connect('\\0' + ABSTRACT)"),
        hear_the_kernels_device_events="socket.socket(16, socket.SOCK_RAW, 15)",
        ask_the_kernel_for_all_sockets="socket.socket(16, socket.SOCK_RAW, 4)",
        speak_to_netfilter="socket.socket(16, socket.SOCK_RAW, 12)",
        make_an_audit_socket="socket.socket(16, socket.SOCK_RAW, 9)",
        see_the_machines_network=(
            "own = {name for _, name in socket.if_nameindex()} - {'lo'}\nif not own: raise OSError"
        ),
    ),
    *ways(
        canary=False,
        connect_over_ipv6="socket.create_connection(('::ffff:127.0.0.1', PORT), 2)",
        reach_another_network="socket.create_connection(('192.0.2.1', 80), 1)",
        ask_the_cloud_for_credentials="socket.create_connection(('169.254.169.254', 80), 1)",
        look_up_a_name=(
            "question = b'\\0\\1\\1\\0\\0\\1' + bytes(6) + b'\\7example\\3com\\0\\0\\1\\0\\1'\n"
            "lines = open('/etc/resolv.conf').read().split('\\n')\n"
            "servers = [line.split()[1] for line in lines if 'nameserver' in line]\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
            "s.connect((servers[0] if servers else '127.0.0.53', 53)); s.send(question)\n"
            "if s.recv(99)[3] & 15 == 3 and servers == ['127.0.0.1']: raise OSError('no such name')"
        ),
        ask_a_name_server=(
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
            "s.connect(('192.0.2.53', 53)); s.send(b'x'); s.recv(9)"
        ),
        make_a_raw_socket="socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        make_a_packet_socket="socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        make_a_vsock="socket.socket(40, socket.SOCK_STREAM)",
        make_a_kernel_crypto_socket="socket.socket(38, socket.SOCK_SEQPACKET)",
        make_a_bluetooth_socket="socket.socket(31, socket.SOCK_RAW, 1)",
        make_a_can_socket="socket.socket(29, socket.SOCK_RAW, 1)",
        make_an_xdp_socket="socket.socket(44, socket.SOCK_RAW)",
        connect_to_docker="socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
        connect_to_the_system_bus=(
            "socket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')"
        ),
        join_the_inits_network="call(libc.setns(os.open(f'/proc/{INIT}/ns/net', 0), 0))",
    ),
)
