# SPDX-License-Identifier: GPL-2.0
"""sandbox.py UNIT RUN BPFFS COMMAND...: a command under the restrictions of a systemd unit,
read from its file, where no systemd is process 1. RUN stands for its RuntimeDirectory, a directory
in it for its StateDirectory, and BPFFS for /sys/fs/bpf. What restrains waymarkd is applied: capabilities, address families,
namespaces, writable and executable memory, the read-only file system, limits. A key that
is neither applied nor known to be of no matter here is an error."""
import ctypes
import os
import resource
import sys
from pathlib import Path

AF = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17, "AF_XDP": 44}
AF_MAX = 46
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000
NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
ALLOW, ERRNO, EPERM, EAFNOSUPPORT = 0x7fff0000, 0x50000, 1, 97
EQ, MASKED_EQ = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4
DEFAULT_MEMLOCK = 8 << 20  # of a service, if its unit says nothing
# Of systemd itself, or nothing that waymarkd could run into.
NO_MATTER = {"Type", "NotifyAccess", "ExecStartPre", "ExecStart", "ExecReload", "Restart",
             "RestartSec", "WatchdogSec", "RuntimeDirectoryPreserve", "ProtectClock",
             "ProtectControlGroups", "ProtectHostname", "ProtectKernelModules",
             "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
             "SystemCallArchitectures", "ProtectHome", "PrivateTmp"}

libc = ctypes.CDLL(None, use_errno=True)


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def settings(unit):
    """[Service] of a unit's text, as a dict. A key that is given twice is one list."""
    section = unit.partition("[Service]")[2].partition("[Install]")[0]
    found = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key] = f"{found[key]} {value}" if key in found else value
    return found


def check(done, what):
    if done:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, flags, kind=None):
    check(libc.mount(str(source).encode(), str(target).encode(), kind, flags, None),
          f"mount {target}")


def read_only(keep):
    """Every mount but these and what the kernel shows."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="ascii").splitlines():
        path = line.split()[4]
        if path.startswith(("/proc", "/sys", "/dev")) or path in keep:
            continue
        try:
            mount("none", path, MS_REMOUNT | MS_BIND | MS_RDONLY)
        except OSError:
            pass  # one mount over another


def state_directory(service, stands_for):
    """In the present mount namespace alone, which sees nothing else of /var/lib."""
    stands_for.mkdir(mode=int(service.pop("StateDirectoryMode"), 8), exist_ok=True)
    mount("none", "/var/lib", 0, b"tmpfs")
    state = Path("/var/lib") / service.pop("StateDirectory")
    state.mkdir()
    mount(stands_for, state, MS_BIND)
    return str(state)


def file_system(service, run, bpffs):
    assert service.pop("ProtectSystem") == "strict"
    assert service.pop("ReadWritePaths") == "/sys/fs/bpf"
    runtime = Path("/run") / service.pop("RuntimeDirectory")
    runtime.mkdir(exist_ok=True)
    check(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount(run, runtime, MS_BIND)
    mount(bpffs, "/sys/fs/bpf", MS_BIND)
    read_only({str(runtime), state_directory(service, Path(run) / "state")})


def filter_calls(service):
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))

    def deny(call, error, *arguments):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        array = (Argument * len(arguments))(*arguments)
        assert not seccomp.seccomp_rule_add_array(context, ERRNO | error, number, len(arguments),
                                                  array), call

    families = {AF[name] for name in service.pop("RestrictAddressFamilies").split()}
    for family in set(range(AF_MAX)) - families:
        deny("socket", EAFNOSUPPORT, Argument(0, EQ, family))
    assert service.pop("RestrictNamespaces") == service.pop("MemoryDenyWriteExecute") == "yes"
    deny("setns", EPERM)
    for flag in NAMESPACES:
        deny("unshare", EPERM, Argument(0, MASKED_EQ, flag, flag))
        deny("clone", EPERM, Argument(0, MASKED_EQ, flag, flag))
    both = PROT_WRITE | PROT_EXEC
    deny("mmap", EPERM, Argument(2, MASKED_EQ, both, both))
    deny("mprotect", EPERM, Argument(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    assert not seccomp.seccomp_load(context)


def limit(which, number):
    """Or what this machine allows, if that is less."""
    hard = resource.getrlimit(which)[1]
    number = number if hard == resource.RLIM_INFINITY else min(number, hard)
    resource.setrlimit(which, (number, number))


def limits(service):
    os.umask(int(service.pop("UMask"), 8))
    limit(resource.RLIMIT_NOFILE, int(service.pop("LimitNOFILE")))
    limit(resource.RLIMIT_MEMLOCK, DEFAULT_MEMLOCK)


def main(unit, run, bpffs, *command):
    service = settings(Path(unit).read_text(encoding="utf-8"))
    limits(service)
    file_system(service, run, bpffs)
    kept = [name.removeprefix("CAP_").lower()
            for name in service.pop("CapabilityBoundingSet").split()]
    assert service.pop("NoNewPrivileges") == "yes"
    unknown = set(service) - NO_MATTER - {"RestrictAddressFamilies", "RestrictNamespaces",
                                          "MemoryDenyWriteExecute"}
    assert not unknown, f"what do {unknown} mean?"
    # The filter comes last: setpriv would not get through it.
    wanted = "-all," + ",".join(f"+{name}" for name in kept)
    os.execvp("setpriv", ["setpriv", "--no-new-privs", f"--bounding-set={wanted}",
                          f"--inh-caps={wanted}", sys.executable, "-B", __file__, "--filter",
                          unit, *command])


def filtered(unit, *command):
    """The second stage: it has the capabilities already."""
    filter_calls(settings(Path(unit).read_text(encoding="utf-8")))
    os.execv(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "--filter":
        filtered(*sys.argv[2:])
    main(*sys.argv[1:])
