"""What one of several processes does in a race for the database: `racing.py DATABASE NAME write|claim|configure|relay`.

DATABASE is the name of Django's test database. The processes begin together: each says that it is ready and waits for
a line.
"""

import os
import random
import sys
import time

import django
from django.conf import settings

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlroom.settings"
    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    django.setup()

from django.db import transaction

from controlroom.relay.main import main as be_relay
from events.actions import claim_job, put
from events.models import Job
from events.streams import CONTROL_WORKER
from events.types import ControlEvent
from risk.actions import create_configuration

WRITES, CONFIGURATIONS = 30, 10


class Anyone:
    """Somebody who may do what is raced for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def get_username(self) -> str:
        return self._name

    def has_perm(self, _permission: str, _thing: object = None) -> bool:
        return True


def write(name: str) -> None:
    """Promise events, each in a transaction that goes on for a while after its row has an id."""

    chance = random.Random(name)
    for number in range(WRITES):
        with transaction.atomic():
            event = ControlEvent(
                action="pause", scope="all", target=f"{name} {number}", actor=name, reason="", request_id="r"
            )
            put(stream=CONTROL_WORKER, payload=event, actor=name, request_id=f"{name}-{number}")
            time.sleep(chance.random() * 0.02)


def claim(name: str) -> None:
    """Try to have every job, and print those that it got."""
    for job_id in Job.objects.order_by("id").values_list("id", flat=True):
        if claim_job(job_id=job_id, owner=name) is not None:
            sys.stdout.write(f"{job_id}\n")


def configure(name: str) -> None:
    """Change the configuration again and again."""
    for number in range(CONFIGURATIONS):
        create_configuration(
            build=lambda version, number=number: f'{{"version":{version},"by":"{name} {number}"}}'.encode(),
            actor=Anyone(name),
            reason="race",
        )


def relay(_name: str) -> None:
    """Be a relay until killed."""
    be_relay([])


def main() -> None:
    _, name, *acts = sys.argv[1:]
    for act in acts:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        {"write": write, "claim": claim, "configure": configure, "relay": relay}[act](name)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
