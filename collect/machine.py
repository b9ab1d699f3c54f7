"""What this machine offers to the collector, and what must not stay on it: cgroups, programs, the block device."""
import os
import pathlib
import shutil
import signal
import time

# The Debian programs, not what a developer's shims put before them.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
CGROUP_ROUNDS = 50  # tries of 100 ms to empty a cgroup that was left behind


def find_program(name):
    """Absolute path, or None."""
    return shutil.which(name, path=PATH)


def environment(work):
    """What every program starts with: nothing of the caller's, so that runs can be repeated."""
    return {"PATH": PATH, "HOME": str(work), "TMPDIR": str(work / "tmp"), "LC_ALL": "C", "LANG": "C"}


def block_device(path):
    """Name of the disk that holds path, e.g. vda; None when it is no real one (tmpfs, overlay: nothing to throttle)."""
    number = os.stat(path).st_dev
    link = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return os.path.basename(os.path.realpath(link)) if os.major(number) and link.exists() else None


def drop_cache(path):
    """Puts the file's pages out of the cache, so that the next reader reads the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def memory_available_share():
    """Of the machine's memory, 0..1."""
    fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / int(fields["MemTotal"].split()[0])


def pressure():
    """10 s averages of the machine's own pressure: how quiet a `quiet` run really was."""
    found = {}
    for name in ("cpu", "io", "memory"):
        try:
            fields = pathlib.Path(f"/proc/pressure/{name}").read_text().split()
        except OSError:
            continue
        found[name] = float(fields[1].partition("=")[2])
    return found


def _hierarchies():
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in ("cgroup", "cgroup2"):
            yield pathlib.Path(before.split()[4])


def cgroup_names(prefix):
    """Names of the subtrees that begin so, in whichever hierarchy."""
    return sorted({path.name for hierarchy in _hierarchies() for path in hierarchy.glob(f"{prefix}*") if path.is_dir()})


def cgroup_directories(subtree):
    """The subtree's directory in every mounted hierarchy where it exists."""
    return [hierarchy / subtree for hierarchy in _hierarchies() if (hierarchy / subtree).is_dir()]


def _try_remove(directory):
    """Ends what is in it and removes it from the leaves up; False when something is still dying."""
    if not directory.is_dir():
        return True
    for below in sorted((path for path in directory.rglob("*") if path.is_dir()), reverse=True) + [directory]:
        try:
            for pid in (below / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            below.rmdir()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return False
    return True


def remove_cgroups(subtree):
    """Removes what recorders that were killed left in the subtree; returns how many directories there were.
    OSError when one cannot be emptied."""
    directories = cgroup_directories(subtree)
    for directory in directories:
        for _ in range(CGROUP_ROUNDS):
            if _try_remove(directory):
                break
            time.sleep(0.1)
        else:
            raise OSError(f"{directory} cannot be removed: processes in it do not end")
    return len(directories)
