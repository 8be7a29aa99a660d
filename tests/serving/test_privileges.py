from __future__ import annotations

import os
import subprocess
import sys

import pytest

from infraspectre.errors import UsageError
from infraspectre.serving.privileges import become

SHOWN = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups", "Uid", "Gid")
SCRIPT = "from infraspectre.serving.privileges import become; become('nobody'); print(open('/proc/self/status').read())"


def test_unknown_users_and_root_are_refused() -> None:
    with pytest.raises(UsageError, match="there is no user"):
        become("nobody-at-all")
    with pytest.raises(UsageError, match=r"only root|has all rights"):
        become("root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights")
def test_nothing_is_left_and_nothing_comes_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    said = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    for name in SHOWN[:5]:
        assert int(said[name], 16) == 0, name
    assert said["NoNewPrivs"] == "1"
    assert not said["Groups"].strip()
    assert "0" not in said["Uid"].split()
    assert "0" not in said["Gid"].split()
