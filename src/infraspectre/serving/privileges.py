"""Giving up rights: a process that has opened what it needs goes on as a user who may do nothing else."""

from __future__ import annotations

import ctypes
import os
import pwd
from pathlib import Path

from infraspectre.errors import UsageError

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
"""Numbers of operations in <linux/prctl.h>, see prctl(2)."""
LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")


def become(user: str) -> None:
    """Become a user for good, without groups, capabilities, or any way to get them back; raises UsageError."""
    try:
        found = pwd.getpwnam(user)
    except KeyError as error:
        raise UsageError(f"there is no user {user!r}", remedy=f"make one: useradd --system {user}") from error
    if os.geteuid() != 0:
        raise UsageError("only root can become another user", remedy="start as root, or leave --user away")
    if found.pw_uid == 0:
        raise UsageError(f"{user} has all rights", remedy="name a user without any")
    library = ctypes.CDLL(None, use_errno=True)
    for capability in range(int(LAST_CAPABILITY.read_text()) + 1):
        control(library, PR_CAPBSET_DROP, capability)
    os.setgroups([])
    os.setresgid(found.pw_gid, found.pw_gid, found.pw_gid)
    os.setresuid(found.pw_uid, found.pw_uid, found.pw_uid)
    control(library, PR_SET_NO_NEW_PRIVS, 1)


def control(library: ctypes.CDLL, operation: int, argument: int) -> None:
    """Call prctl; raises OSError where the system refuses."""
    if library.prctl(operation, ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
