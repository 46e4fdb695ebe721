"""Classes 7, 8 and 9: network, kernel surface, and IPC objects left behind."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from attack import attack, call, libc, reachable


@attack("network")
def tcp_connect(w):
    socket.create_connection(("127.0.0.1", w.tcp), 1)


@attack("network")
def tcp6_connect(w):
    socket.create_connection(("::1", w.tcp6), 1)


@attack("network")
def tcp_listen(w):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return True


@attack("network")
def udp_send(w):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", w.udp))


@attack("network")
def udp6_socket(w):
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).fileno() >= 0


@attack("network")
def mptcp_connect(w):
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    connection.settimeout(1)
    connection.connect(("127.0.0.1", w.tcp))


@attack("network")
def raw_socket(w):
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno() >= 0


@attack("network")
def ping_socket(w):
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1).fileno() >= 0


@attack("network")
def packet_socket(w):
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW).fileno() >= 0


@attack("network")
def netlink_socket(w):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0))
    return True


@attack("network")
def vsock_socket(w):
    return socket.socket(40, socket.SOCK_STREAM).fileno() >= 0


@attack("network")
def kernel_crypto_socket(w):
    return socket.socket(38, socket.SOCK_SEQPACKET).fileno() >= 0


@attack("network")
def unix_connect(w):
    socket.socket(socket.AF_UNIX).connect(w.unix)


@attack("network")
def unix_abstract_connect(w):
    socket.socket(socket.AF_UNIX).connect("\0" + w.abstract)


@attack("network")
def unix_abstract_bind(w):
    socket.socket(socket.AF_UNIX).bind(f"\0{w.tag}-squat")
    return True


@attack("network")
def unix_datagram(w):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", w.unix_datagram)


@attack("network")
def socket_pair(w):
    return bool(socket.socketpair())


@attack("network")
def resolve_a_name(w):
    """The resolver reads its files and asks over UDP; here the hosts file is enough."""
    return bool(socket.getaddrinfo("localhost", 80))


@attack("network")
def list_interfaces(w):
    return any(name != "lo" for _, name in socket.if_nameindex())


@attack("network")
def io_uring(w):
    return call(425, 4, ctypes.create_string_buffer(120)) >= 0


@attack("network", profile="compile")
def compile_tcp_connect(w):
    socket.create_connection(("127.0.0.1", w.tcp), 1)


@attack("network", profile="compile")
def compile_unix_connect(w):
    socket.socket(socket.AF_UNIX).connect(w.unix)


@attack("kernel")
def unshare_user_namespace(w):
    return call(272, 0x10000000) == 0


@attack("kernel")
def clone_user_namespace(w):
    pid = call(56, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return True


@attack("kernel", profile="compile")
def compile_clones_user_namespace(w):
    pid = call(56, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return True


@attack("kernel")
def clone3_user_namespace(w):
    arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
    pid = call(435, arguments, ctypes.sizeof(arguments))
    if pid == 0:
        os._exit(0)
    return True


@attack("kernel")
def mount_tmpfs(w):
    if libc.mount(b"none", w.mount_point.encode(), b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    libc.umount2(w.mount_point.encode(), 2)
    return True


@attack("kernel")
def bind_mount(w):
    if libc.mount(w.open_folder.encode(), w.mount_point.encode(), None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    libc.umount2(w.mount_point.encode(), 2)
    return True


@attack("kernel")
def unmount_something(w):
    return reachable(166, b"/proc/self/nonexistent", 2)


@attack("kernel")
def new_mount_interface(w):
    return call(430, b"tmpfs", 0) >= 0


@attack("kernel")
def open_mount_tree(w):
    return call(428, -100, b"/", 1) >= 0


@attack("kernel")
def pivot_root(w):
    return reachable(155, b"/nonexistent", b"/nonexistent")


@attack("kernel")
def load_bpf(w):
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + b"\0" * 100)
    return call(321, 0, attributes, 72) >= 0


@attack("kernel")
def perf_event(w):
    attributes = ctypes.create_string_buffer(struct.pack("II", 1, 112) + b"\0" * 120)
    return call(298, attributes, 0, -1, -1, 0) >= 0


@attack("kernel")
def user_fault_descriptor(w):
    return call(323, 1) >= 0


@attack("kernel")
def add_a_key(w):
    return call(248, b"user", b"canary", b"v", 1, -1) > 0


@attack("kernel")
def search_keyrings(w):
    return call(250, 0, -3, 1) != 0


@attack("kernel")
def load_a_module(w):
    return reachable(175, None, 0, b"")


@attack("kernel")
def load_a_kernel(w):
    return reachable(246, 0, 99, None, 0)


@attack("kernel")
def reboot_with_wrong_magic(w):
    return reachable(169, 0, 0, 0, None)


@attack("kernel")
def set_time_from_bad_pointer(w):
    return reachable(227, 0, ctypes.c_void_p(1))


@attack("kernel")
def adjust_clock_from_bad_pointer(w):
    return reachable(159, ctypes.c_void_p(1))


@attack("kernel")
def set_hostname_to_itself(w):
    name = os.uname().nodename.encode()
    return call(170, name, len(name)) == 0


@attack("kernel")
def swap_on(w):
    return reachable(167, b"/nonexistent", 0)


@attack("kernel")
def process_accounting(w):
    return reachable(163, b"/nonexistent")


@attack("kernel")
def read_kernel_log(w):
    return call(103, 10, None, 0) > 0


@attack("kernel")
def io_ports(w):
    return call(172, 3) == 0


@attack("kernel")
def personality(w):
    return call(135, 0x0040000) >= 0


@attack("kernel")
def local_descriptor_table(w):
    return reachable(154, 1, None, 0)


@attack("kernel")
def own_seccomp_filter(w):
    """A filter that traps its own syscalls would let a candidate lie to the code that runs after it."""
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    header = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(instruction)), 16)
    call(157, 38, 1, 0, 0, 0)
    return call(317, 1, 0, header) >= 0


@attack("kernel")
def seccomp_notification(w):
    return reachable(317, 3, 0, ctypes.create_string_buffer(16))


@attack("kernel")
def alternate_syscall_dispatch(w):
    """PR_SET_SYSCALL_USER_DISPATCH: another way to trap the syscalls of the code that runs after."""
    return call(157, 59, 1, 0, 0, ctypes.create_string_buffer(1)) == 0


@attack("kernel")
def timer_with_signal(w):
    timer = ctypes.c_int()
    return call(222, 1, None, ctypes.byref(timer)) == 0


@attack("kernel")
def secret_memory(w):
    return call(447, 0) >= 0


@attack("kernel")
def guard_own_process_with_landlock(w):
    return call(444, ctypes.create_string_buffer(struct.pack("QQQ", 1, 0, 0)), 8, 0) >= 0


@attack("kernel")
def quota_control(w):
    return reachable(179, 0x800001, b"/nonexistent", 0, None)


@attack("ipc")
def attach_shared_memory(w):
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(w.shm_id, None, 0)
    return b"" if address in (None, 2**64 - 1) else ctypes.string_at(address, w.length)


@attack("ipc")
def leave_shared_memory(w):
    call(29, 0, 4096, 0o1666)


@attack("ipc")
def leave_semaphores(w):
    call(64, 0, 1, 0o1666)


@attack("ipc")
def leave_message_queue(w):
    call(68, 0, 0o1666)


@attack("ipc")
def remove_anothers_shared_memory(w):
    call(31, w.spare_shm_id, 0, None)


@attack("ipc")
def leave_posix_queue(w):
    return call(240, w.tag.encode(), 0o102, 0o600, None) >= 0


@attack("ipc")
def leave_memory_file(w):
    """An anonymous file of 512 MiB, beyond the limit on memory because nothing maps it."""
    descriptor = os.memfd_create("big")
    for _ in range(512):
        os.write(descriptor, b"x" * (1 << 20))
    return True


@attack("ipc")
def share_futex_page(w):
    """Shared memory by name, to talk to the next candidate."""
    descriptor = os.open(f"/dev/shm/{w.tag}-left", os.O_RDWR | os.O_CREAT, 0o666)
    return os.write(descriptor, b"x") == 1
