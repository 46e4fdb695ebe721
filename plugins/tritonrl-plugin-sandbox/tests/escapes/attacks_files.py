"""Classes 1 and 2: files, and secrets in the environment."""

from __future__ import annotations

import ctypes
import glob
import mmap
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

from attack import attack, call, libc


@attack("files")
def read_etc_passwd(w):
    return "root:" in Path("/etc/passwd").read_text()


@attack("files")
def read_secret(w):
    return Path(w.secret).read_bytes()


@attack("files")
def read_secret_with_openat2(w):
    descriptor = call(437, -100, w.secret.encode(), ctypes.create_string_buffer(24), 24)
    return os.read(descriptor, 100)


@attack("files")
def read_secret_through_mmap(w):
    with open(w.secret, "rb") as file:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[:]


@attack("files")
def read_secret_through_dotdot(w):
    return Path(f"{sys.base_prefix}/../../../../../../../../..{w.secret}").read_bytes()


@attack("files")
def read_secret_through_proc_self_root(w):
    return Path(f"/proc/self/root{w.secret}").read_bytes()


@attack("files")
def read_secret_through_proc_self_cwd(w):
    os.chdir("/")
    return Path(f"/proc/self/cwd{w.secret}").read_bytes()


@attack("files")
def read_secret_through_parents_root(w):
    return Path(f"/proc/{w.dispatcher}/root{w.secret}").read_bytes()


@attack("files")
def list_parents_cwd(w):
    return bool(os.listdir(f"/proc/{w.dispatcher}/cwd/"))


@attack("files")
def read_secret_through_symlink(w):
    os.symlink(w.secret, f"{w.open_folder}/link")
    return Path(f"{w.open_folder}/link").read_bytes()


@attack("files")
def read_secret_through_hardlink(w):
    os.link(w.secret, f"{w.open_folder}/hard")
    return Path(f"{w.open_folder}/hard").read_bytes()


@attack("files")
def read_secret_by_handle(w):
    handle, mount_id = ctypes.create_string_buffer(136), ctypes.c_int()
    ctypes.c_uint.from_buffer(handle).value = 128
    call(303, -100, w.secret.encode(), handle, ctypes.byref(mount_id), 0)
    return os.read(call(304, os.open("/", os.O_RDONLY), handle, os.O_RDONLY), 100)


@attack("files")
def read_secret_with_sendfile(w):
    source = os.open(w.secret, os.O_RDONLY)
    reader, writer = os.pipe()
    os.sendfile(writer, source, 0, 100)
    return os.read(reader, 100)


@attack("files")
def reopen_readable_file_as_path_and_upgrade(w):
    handle = os.open(w.secret, os.O_PATH)
    return os.read(os.open(f"/proc/self/fd/{handle}", os.O_RDONLY), 100)


@attack("files")
def list_root(w):
    return "etc" in os.listdir("/")


@attack("files")
def list_home(w):
    return isinstance(os.listdir(w.home), list)


@attack("files", promised="A")
def see_that_a_file_exists(w):
    """Names, sizes and times (no contents): only a root folder of one's own hides them."""
    return os.stat(w.secret).st_size > 0


@attack("files", promised="A")
def see_what_another_candidate_wrote(w):
    return Path(w.neighbour).exists()


@attack("files", promised="A")
def see_link_targets(w):
    return os.readlink("/proc/self/exe") != "" and os.access(w.secret, os.R_OK)


@attack("files")
def read_golden_solutions(w):
    """Known right answers ship with the core: a candidate that reads them need not think."""
    found = glob.glob(f"{w.core}/tasks/golden/**/*.py", recursive=True)
    return any(b"ModelNew" in Path(path).read_bytes() for path in found)


@attack("files")
def read_task_references(w):
    found = glob.glob(f"{w.core}/tasks/suite/**/*", recursive=True)
    return any(b"class Model" in Path(path).read_bytes() for path in found if Path(path).is_file())


@attack("files")
def read_neighbours_scratch(w):
    return Path(w.neighbour).read_bytes()


@attack("files")
def write_outside(w):
    Path(f"{w.open_folder}/written").write_text("x")


@attack("files")
def write_with_tmpfile_flag(w):
    descriptor = os.open(w.open_folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    return os.write(descriptor, b"x") == 1


@attack("files")
def append_outside(w):
    with open(w.victim, "a") as file:
        file.write("x")


@attack("files")
def truncate_outside(w):
    os.truncate(w.victim, 0)


@attack("files")
def truncate_with_read_only_open(w):
    os.open(w.victim, os.O_RDONLY | os.O_TRUNC)


@attack("files")
def truncate_installed_software(w):
    """Landlock before version 3 does not look at truncation, and the software is readable."""
    os.open(w.software_victim, os.O_RDONLY | os.O_TRUNC)


@attack("files")
def delete_outside(w):
    os.unlink(w.victim)


@attack("files")
def rename_outside(w):
    os.rename(w.victim, w.victim + ".moved")


@attack("files")
def exchange_outside(w):
    call(316, -100, w.victim.encode(), -100, w.secret.encode(), 2)


@attack("files")
def make_folder_outside(w):
    os.mkdir(f"{w.open_folder}/folder")


@attack("files")
def chmod_outside(w):
    os.chmod(w.victim, 0o640)


@attack("files")
def chmod_installed_software(w):
    os.chmod(w.software_victim, 0o640)


@attack("files")
def chown_outside(w):
    os.chown(w.victim, os.geteuid(), os.getegid())
    return True


@attack("files")
def touch_outside(w):
    os.utime(w.victim, (1, 1))


@attack("files")
def set_extended_attribute(w):
    os.setxattr(w.victim, b"user.canary", b"x")
    return True


@attack("files")
def make_fifo(w):
    os.mkfifo(f"{w.open_folder}/fifo")


@attack("files")
def make_block_device(w):
    os.mknod(f"{w.open_folder}/device", 0o600 | stat.S_IFBLK, os.makedev(254, 0))


@attack("files")
def make_socket_file(w):
    socket.socket(socket.AF_UNIX).bind(f"{w.open_folder}/socket")


@attack("files")
def read_block_device(w):
    disk = next(path for path in ("/dev/vda", "/dev/sda", "/dev/nvme0n1") if os.path.exists(path))
    return len(os.read(os.open(disk, os.O_RDONLY), 16)) == 16


@attack("files")
def write_shared_memory_folder(w):
    Path(f"/dev/shm/{w.tag}-left").write_text("x")


@attack("files")
def read_shared_memory_folder(w):
    return Path(w.shm_file).read_bytes()


@attack("files")
def poison_site_packages(w):
    path = Path(w.software) / f"{w.tag}.py"
    path.write_text("x = 1")
    path.unlink()
    return True


@attack("files")
def poison_bytecode_cache(w):
    folder = Path(w.software) / "__pycache__"
    folder.mkdir(exist_ok=True)
    path = folder / f"{w.tag}.pyc"
    path.write_bytes(b"x")
    path.unlink()
    return True


@attack("files")
def poison_triton_cache(w):
    folder = Path(w.home) / f".triton-{w.tag}"
    folder.mkdir()
    folder.rmdir()
    return True


@attack("files")
def write_core_pattern(w):
    with open("/proc/sys/kernel/core_pattern", "r+") as file:
        file.write(file.read())
    return True


@attack("files")
def write_parents_oom_score(w):
    path = Path(f"/proc/{w.dispatcher}/oom_score_adj")
    path.write_text(path.read_text())
    return True


@attack("files")
def move_to_another_cgroup(w):
    path = next(iter(glob.glob("/sys/fs/cgroup/unified/cgroup.procs") + glob.glob("/sys/fs/cgroup/cgroup.procs")))
    Path(path).write_text("0")
    return True


@attack("files")
def chroot_elsewhere(w):
    os.chroot(w.open_folder)
    return True


@attack("files")
def watch_files_with_inotify(w):
    descriptor = libc.inotify_init()
    return descriptor >= 0 and libc.inotify_add_watch(descriptor, w.open_folder.encode(), 0xFFF) >= 0


@attack("files")
def watch_files_with_fanotify(w):
    return call(300, 0, 0) >= 0


@attack("files")
def copy_secret_with_copy_file_range(w):
    source, reader = os.open(w.secret, os.O_RDONLY), f"{w.open_folder}/copy"
    os.copy_file_range(source, os.open(reader, os.O_RDWR | os.O_CREAT), 100)


@attack("files", profile="compile")
def compile_reads_secret(w):
    return Path(w.secret).read_bytes()


@attack("files", profile="compile")
def compile_writes_outside(w):
    Path(f"{w.open_folder}/written").write_text("x")


@attack("files", profile="compile")
def compile_links_secret_into_scratch(w):
    here = os.environ["TMPDIR"]
    os.link(w.secret, f"{here}/hard")
    return Path(f"{here}/hard").read_bytes()


@attack("files", profile="compile")
def compile_symlinks_secret_into_scratch(w):
    here = os.environ["TMPDIR"]
    os.symlink(w.secret, f"{here}/link")
    return Path(f"{here}/link").read_bytes()


@attack("files", profile="compile", twice=True)
def compile_leaves_file_for_the_next(w):
    """Whoever compiles next must not find it: the proof is that the second job reads what the first one wrote."""
    here = Path(os.environ["TMPDIR"])
    if any(here.iterdir()):
        return w.again
    (here / "left").write_text("x")
    (here / "folder" / "deeper").mkdir(parents=True)
    (here / "closed").mkdir(mode=0)
    return False


@attack("files", profile="compile")
def compile_copies_program_to_scratch_and_runs_it(w):
    here = os.environ["TMPDIR"]
    shutil.copyfile("/bin/true", f"{here}/true")
    os.chmod(f"{here}/true", 0o755)
    return os.spawnv(os.P_WAIT, f"{here}/true", ["true"]) == 0


@attack("environment")
def secret_in_environ(w):
    return repr(dict(os.environ))


@attack("environment")
def secret_in_c_environ(w):
    libc.getenv.restype = ctypes.c_char_p
    return libc.getenv(b"TRITONRL_CANARY") or b""


@attack("environment")
def secret_in_initial_block(w):
    """The block that the kernel put on the stack stays in memory whatever becomes of os.environ."""
    return ctypes.string_at(w.environment[0], w.environment[1] - w.environment[0])


@attack("environment")
def secret_in_own_proc_environ(w):
    return Path("/proc/self/environ").read_bytes()


@attack("environment")
def secret_in_parents_environ(w):
    return Path(f"/proc/{w.dispatcher}/environ").read_bytes()


@attack("environment")
def secret_in_verifiers_environ(w):
    return Path(f"/proc/{w.verifier}/environ").read_bytes()


@attack("environment")
def parents_command_line(w):
    return b"column" in Path(f"/proc/{w.dispatcher}/cmdline").read_bytes()


@attack("environment")
def preload_into_a_program(w):
    os.environ["LD_PRELOAD"] = f"{w.open_folder}/none.so"
    return os.system("/bin/true") == 0


@attack("environment", profile="compile")
def compile_sees_secret_in_environ(w):
    return repr(dict(os.environ))
