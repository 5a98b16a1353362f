"""Ports and processes of this machine, for the services that tests and the demo start. Linux only."""

import contextlib
import os
import signal
import socket
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in sockets]


def accepts(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def kill_session(leader: int) -> None:
    """End a process that was started with `start_new_session`, and all that it started, whatever their groups."""
    for pid in _session(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            pid, _, rest = stat.read_text().partition(" (")
            _state, _parent, _group, session = rest.rpartition(") ")[2].split()[:4]
            if int(session) == leader:
                members.append(int(pid))
    return members
