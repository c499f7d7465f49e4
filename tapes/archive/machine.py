"""Which start of the machine this is: monotonic times of two records compare only within the same one."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """A text that differs after every start of the machine; empty where the system gives none."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text().strip()
    if Path("/usr/sbin/sysctl").exists():  # macOS
        import subprocess  # slow to import

        done = subprocess.run(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, check=False)
        return done.stdout.decode("ascii", "replace").strip().lower()
    return ""
