"""The worker's process: journal, resume, threads, loop; one per account."""

import contextlib
import gc
import logging
import signal
import sys
import uuid
from pathlib import Path

from agents.execution.slippage import SlippageError
from audit.ring import KeyRing
from engine.output import Output
from engine.snapshot import SnapshotError
from events import VERSION
from events.journal import JournalWriter
from events.logs import configure
from events.paths import DataPaths
from events.reader import JournalReader
from events.segments import JournalError
from events.types import RunStarted
from worker.approvals import Gate
from worker.calls import Calls
from worker.control import ControlServer
from worker.core import WORKER, Core
from worker.guard import Guard
from worker.keeper import Keeper
from worker.kill import KillSwitch
from worker.link import Link
from worker.loop import Loop
from worker.machine import Machine
from worker.neighbours import Neighbours
from worker.onetime import NAME as CODES
from worker.onetime import Codes
from worker.orders import OrderDesk
from worker.ports import SYSTEM, Ports
from worker.release import Passwords
from worker.requests import SocketHandlers
from worker.resume import ReplayDiffersError, resume
from worker.space import SpaceGuard
from worker.view import LAST_VIEW
from worker.warm import warm_up

JOURNAL = "execution"

log = logging.getLogger(__name__)


def serve(paths: DataPaths) -> int:
    """Start, trade until told to stop, and return the exit code of ``worker.main.main``."""
    try:
        configure("worker", paths)
        journal = JournalWriter(paths.journal / JOURNAL, JOURNAL, uuid.uuid4().hex)
    except (OSError, JournalError) as error:
        sys.stderr.write(f"worker: data directory {paths.root}: {error}\n")
        return 2
    try:
        warm_up()
        core = open_core(paths, journal)
    except (OSError, JournalError, ReplayDiffersError, SnapshotError, SlippageError) as error:
        sys.stderr.write(f"worker: journal {journal.folder} cannot be continued: {error}\n")
        return 2
    trading = Trading(paths, core)
    try:
        trading.start()
    except OSError as error:
        sys.stderr.write(f"worker: control socket {paths.socket('worker')} cannot be made: {error}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: trading.loop.stop())
    signal.signal(signal.SIGINT, lambda *_: trading.loop.stop())
    gc.collect()
    gc.freeze()  # what start-up made lives as long as the process: no collection walks it on a tick
    try:
        trading.run()
    except JournalError as error:
        log.critical("the journal failed, the worker ends: %s", error, extra={"event_type": "journal"})
        return 1
    return 0


def open_core(paths: DataPaths, journal: JournalWriter, ports: Ports = SYSTEM) -> Core:
    """Bring the machine to the journal's end and begin a run."""
    machine, reader, here = Machine(ports.open_broker), JournalReader(journal.folder), ports.fingerprint()
    if journal.cut is not None:
        log.warning(
            "the journal's end was torn (%s): %d bytes cut off, nothing acted on them", journal.cut.what,
            journal.cut.cut_bytes, extra={"event_type": "journal"},
        )  # fmt: skip
    done = resume(machine, reader, here)
    log.info(
        "resumed from record %d, %d inputs stepped again, compared %s", done.resumed_from, done.replayed,
        "byte for byte" if done.exact else "lots exactly and floats to 1e-9: another fingerprint",
        extra={"event_type": "resume"},
    )  # fmt: skip
    switch = KillSwitch(paths.kill_file, clock=ports.clock, disk=ports.disk)
    switch.recover()
    switch.latch(machine.killed)
    keeper, desk = Keeper(journal, ports.clock), OrderDesk(switch, ports.clock)
    core = Core(machine, keeper, switch, desk, ports.clock)
    started = RunStarted(
        station_version=VERSION, fingerprint=here, resumed_from=done.resumed_from, replayed=done.replayed
    )
    core.keeper.inputs = done.replayed
    core.note(Output("RunStarted", WORKER, started))
    core.keeper.sync()
    return core


class Trading:
    """The loop and the threads around it."""

    def __init__(self, paths: DataPaths, core: Core) -> None:
        self._paths, self._core = paths, core
        calls = Calls()
        self._link, self._guard = Link(paths), Guard(core)
        gate = Gate(lambda: KeyRing.read(paths.keys))
        self.loop = Loop(core, self._link, calls, core.keeper.journal.run, gate)
        self.loop.watches += [SpaceGuard(core, paths).look, Neighbours.of(core, self._link).look]
        passwords = Passwords(paths.secrets / "release.json", codes=Codes(paths.secrets / CODES))
        handlers = SocketHandlers(core, self._guard, calls, passwords, self.loop.view)
        self._server = ControlServer(paths.socket("worker"), handlers)

    def start(self) -> None:
        """Watch the kill file and listen on the control socket.

        Raises
        ------
        OSError
            if the socket cannot be made.
        """
        self._core.switch.check()
        self._guard.start()
        self._server.start()
        log.info("worker ready", extra={"event_type": "start"})

    def run(self) -> None:
        """Trade until the loop is stopped, then leave the last view behind and close the journal.

        Raises
        ------
        events.segments.JournalError
            if the disk fails.
        """
        try:
            self.loop.run()
            _leave(self._paths.run / LAST_VIEW, self.loop.view())
        finally:
            self._guard.close()
            self._server.close()
            with contextlib.suppress(OSError):
                self._link.close()
        self._core.keeper.journal.close()


def _leave(file: Path, view: bytes) -> None:
    """Write the last view for those who ask when nobody runs any more."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_bytes(view)
    draft.chmod(0o600)
    draft.replace(file)
