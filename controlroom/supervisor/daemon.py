"""Supervisor 4.3 under this process: its configuration, its start, and the few of its calls that are used."""

import os
import re
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from controlroom.supervisor.directory import write_atomically
from controlroom.supervisor.programs import Program
from events.children import bound_to_named, bound_to_us, naming_itself
from events.paths import DataPaths

HEADER = """[unix_http_server]
file={socket}
chmod=0700

[supervisord]
nodaemon=true
silent=true
umask=077
identifier=station
logfile=logs/supervisord.out
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
childlogdir=logs

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """
[program:{name}]
command={command}
autostart=false
autorestart=true
startsecs=10
startretries=1000
stopsignal=TERM
stopwaitsecs={wait}
killasgroup=true
stdout_logfile=logs/{name}.out
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=1
redirect_stderr=true
"""
"""A process that ends within ten seconds waits longer each time before it starts again; crashes.py gives up who crashes
too often, so the number of retries is no limit here."""


def configuration(paths: DataPaths, programs: Iterable[Program]) -> str:
    """Return supervisord.conf, whose paths are relative to the data directory: supervisord expands some of them twice.

    In a command, a percent sign starts an expansion and is doubled.
    """
    socket = paths.socket("supervisor")
    inside = socket.parent == paths.run.absolute()
    parts = [HEADER.format(socket=f"run/{socket.name}" if inside else socket)]
    for program in programs:
        command = _escaped(shlex.join(bound_to_named(program.command)))
        parts.append(PROGRAM.format(name=program.name, command=command, wait=max(1, round(program.stop_wait_s))))
    return "".join(parts)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


class Daemon:
    """A running supervisord, and its table of processes."""

    def __init__(self, paths: DataPaths, process: subprocess.Popen[bytes], errors: int) -> None:
        self.paths = paths
        self.process = process
        self._errors = errors

    @classmethod
    def start(cls, paths: DataPaths, programs: Iterable[Program], env: dict[str, str]) -> "Daemon":
        """Start supervisord in a session of its own, so that Ctrl-C reaches only us, and bound to our life.

        Its complaints go to memory: on a full disk it cannot log, complains, and would die of a complaint not written.
        """
        file = paths.run / "supervisord.conf"
        write_atomically(file, configuration(paths, programs))
        command = bound_to_us(naming_itself([sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(file)]))
        errors = os.memfd_create("supervisord-errors")
        process = subprocess.Popen(
            command, env=env, cwd=paths.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True, umask=0o077,
        )  # fmt: skip
        return cls(paths, process, errors)

    @property
    def alive(self) -> bool:
        """Whether supervisord still runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """Return the last line of its complaints."""
        lines = os.pread(self._errors, 1 << 20, 0).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return name to what supervisord says of it; empty while it cannot be asked."""
        try:
            found = call(self.paths, "supervisor.getAllProcessInfo")
        except OSError:
            return {}
        return {row["name"]: row for row in found}

    def exit_status(self, name: str) -> int | None:
        """Return the status that a program last exited with; None where it has not, or by a signal.

        From the log: in the table supervisord forgets the status of what has ended soon after its start.
        """
        log = self.paths.logs / "supervisord.out"
        ends = re.findall(rf" exited: {re.escape(name)} \((?:exit status (\d+))?", log.read_text(errors="replace"))
        return int(ends[-1]) if ends and ends[-1] else None

    def start_program(self, name: str) -> None:
        """Start one, without waiting."""
        self._tell("supervisor.startProcess", name, allowed=Faults.ALREADY_STARTED)

    def stop_program(self, name: str) -> None:
        """Tell one to stop, without waiting; one that does not run is fine."""
        self._tell("supervisor.stopProcess", name, allowed=Faults.NOT_RUNNING)

    def shut_down(self) -> None:
        """End supervisord; what it still runs is killed with it."""
        try:
            call(self.paths, "supervisor.shutdown")
        except (OSError, xmlrpc.client.Fault):
            self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def _tell(self, method: str, name: str, allowed: int) -> None:
        try:
            call(self.paths, method, name, False)  # noqa: FBT003 - XML-RPC's second argument: wait
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != allowed:
                raise


def call(paths: DataPaths, method: str, *arguments: object) -> Any:
    """Make one call on supervisord's socket.

    Raises
    ------
    OSError
        if nobody answers there, or only that it is about to end.
    xmlrpc.client.Fault
        if supervisord refuses.
    """
    transport = SupervisorTransport(None, None, f"unix://{paths.socket('supervisor')}")
    try:
        return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport), method)(*arguments)
    except xmlrpc.client.ProtocolError as error:
        raise OSError(f"supervisord answered {error.errcode} {error.errmsg}") from error
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == Faults.SHUTDOWN_STATE:
            raise OSError("supervisord is ending") from fault
        raise
    finally:
        transport.close()
