"""A page's surroundings without a trading station: a real bus, a real Daphne, and a hand that plays the worker."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import redis

from events import bus
from events.embedded import valkey_command
from events.paths import DataPaths
from events.streams import WORKER_SNAPSHOT
from tests.browser import recorded, scripted

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "operator", "a-long-enough-password-1"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # of the operator's one-time code device
START_S = 120.0  # of a web process on a busy machine


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Stage:
    """A data directory with its bus, store, database and web process; the caller plays the worker."""

    def __init__(self, root: Path) -> None:
        self.paths = DataPaths(root)
        self.port = free_port()
        self.environment = os.environ | {
            "STATION_DATA_DIR": str(root),
            "DJANGO_SETTINGS_MODULE": "controlroom.settings",
            "PYTHONPATH": str(ROOT),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.web: subprocess.Popen[bytes] | None = None
        self.sequence = 48_213
        self.view = scripted.view(self.sequence)
        self.beating = scripted.beats
        self._playing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the servers, fill database and store, start Daphne, publish the first view."""
        for which in ("bus", "web"):
            self._spawn(valkey_command(self.paths, which), f"valkey-{which}")
        self.worker = bus.connect(self.paths, "worker", deadline_s=20)
        self.beaters = {
            name: bus.connect(self.paths, name) for name in ("feed", "recorder", "relay", "web", "celery")
        } | {"worker": self.worker}
        self._manage("migrate", "--verbosity", "0")
        self._manage("shell", "-c", SETUP)
        (self.paths.run / "run.json").write_bytes(msgspec.json.encode({"speed": 120, "feed": "replay:x"}))
        scripted.fill_store(self.paths.store)
        recorded.fill(self.paths)
        self.publish()
        self.start_web()

    def start_web(self) -> None:
        """Start Daphne and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "daphne",
            "-b",
            "127.0.0.1",
            "-p",
            str(self.port),
            "controlroom.asgi:application",
        ]
        self.web = self._spawn(command, "web")
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()  # noqa: S310  our own server
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError((self.paths.root / "web.log").read_text())

    def stop_web(self) -> None:
        """Stop Daphne at once."""
        assert self.web is not None
        self.web.kill()
        self.web.wait()

    def reset(self) -> None:
        """Undo what a test did: beating, playing, a stopped web process, the view."""
        self.pause()
        self.beating = scripted.beats
        (self.paths.run / "processes.json").unlink(missing_ok=True)
        if self.web is None or self.web.poll() is not None:
            self.start_web()
        self.sequence += 1000
        self.publish(scripted.view(self.sequence))

    def publish(self, view: dict[str, Any] | None = None) -> None:
        """Publish a view, and every process' beat."""
        self.view = view if view is not None else self.view
        self.worker.xadd(WORKER_SNAPSHOT, {"view": msgspec.json.encode(self.view)}, maxlen=4)
        self.beat()

    def beat(self) -> None:
        """Let every process beat."""
        for name, beat in self.beating().items():
            self.beaters[name].set(f"status.{name}", msgspec.json.encode(beat), ex=10)

    def play(self, seconds: float = 0.5, **change: Any) -> None:
        """Publish a new minute every so many seconds, in the background, until :meth:`pause`."""
        self._playing.set()

        def loop() -> None:
            minute = scripted.MINUTES
            while self._playing.is_set():
                minute += 1
                self.sequence += 1
                self.publish(scripted.view(self.sequence, minute, **change))
                time.sleep(seconds)

        self._player = threading.Thread(target=loop, daemon=True)
        self._player.start()

    def pause(self) -> None:
        """Stop :meth:`play`."""
        if self._playing.is_set():
            self._playing.clear()
            self._player.join()

    def manage_shell(self, code: str) -> None:
        """Run Python in the station's Django, as another of its processes would."""
        self._manage("shell", "--no-imports", "-c", code)

    def close(self) -> None:
        """Stop everything that was started."""
        self.pause()
        for client in self.beaters.values():
            client.close()
        for process in self.processes:
            process.kill()
            process.wait()

    def _spawn(self, command: list[str], name: str) -> "subprocess.Popen[bytes]":
        with (self.paths.root / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def _manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=120,
        )


SETUP = f"""
import msgspec
from django.conf import settings
from audit.files import write_file
from engine.configuration import Configuration, Source, load_settings
from risk.actions import create_configuration
from worker.onetime import Device
def configuration(version):
    source = Source(feed="simulated", label="SIMULATED", detail="seed 1", interval_s=60)
    return msgspec.json.encode(
        Configuration(version=version, mode="PAPER", settings=load_settings(), instruments=[], source=source)
    )
from django.contrib.auth.models import Group
from django.utils import timezone
from controlroom.access.actions import sync_roles
from controlroom.access.models import User
sync_roles()
user = User.objects.create_user("{USER}", password="{PASSWORD}")
user.password_set_at = timezone.now()
user.is_superuser = user.is_staff = True
user.save()
user.groups.add(Group.objects.get(name="oversight"))
device = Device(secret="{SECRET}", since_ns=1)
write_file(settings.DATA.secrets / "codes.json", msgspec.json.encode({{"{USER}": device}}))
create_configuration(build=configuration, actor=None, reason="start")
"""


def main() -> None:
    """Play a station for a person who looks at the pages: ``python -m tests.browser.stage FOLDER``."""
    root = Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    stage = Stage(root)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stage.start()
        stage.play()
        sys.stdout.write(f"{stage.url} {USER} {PASSWORD}\n")
        sys.stdout.flush()
        threading.Event().wait()
    except (KeyboardInterrupt, redis.RedisError):
        pass
    finally:
        stage.close()


if __name__ == "__main__":
    main()
