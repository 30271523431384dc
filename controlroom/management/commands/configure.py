"""Makes this run's configuration the current one: settings.toml over the defaults, the instruments of run.json."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.errors import AuditError
from controlroom.access.operators import held_configuration
from controlroom.access.signature import signer
from engine.configuration import Configuration, Settings, SettingsError, Source, Tournaments, load_settings
from market.instruments import Instrument
from risk.actions import create_configuration
from tournaments.evolution.selectors import promoted_parameters
from tournaments.rules import schedule_of
from tournaments.selectors import active_rules
from worker.approvals import START, filed

HELD = ("account", "black_swan", "disk")
"""Sections that limits hang on: after the first start a file changes them as little as the limits themselves."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What this command needs of the run's description (docs/architecture.md)."""

    source: Source
    instruments: list[Instrument]
    tournaments: bool = False
    history: list[str] = []


class Command(BaseCommand):
    """``manage.py configure``: run by the supervisor after each migration; changes nothing if nothing differs."""

    help = "Store the configuration of the run in DATA/run/run.json. Example: manage.py configure --data-dir var"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Ask how many people a loosening takes."""
        parser.add_argument("--operators", type=int, choices=(1, 2), default=1, help="of the first start (default: 1)")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Read, compare, store."""
        paths = settings.DATA
        file = paths.run / "run.json"
        try:
            run = msgspec.json.decode(file.read_bytes(), type=Run)
            limits = load_settings(paths.settings)
        except OSError as error:
            raise CommandError(
                f"{file} cannot be read ({error.strerror}); `manage.py run` writes it", returncode=2
            ) from error
        except msgspec.DecodeError as error:
            raise CommandError(f"{file}: {error}; `manage.py run` writes it anew", returncode=2) from error
        except SettingsError as error:
            raise CommandError(str(error), returncode=2) from error

        held = held_configuration()
        limits = limits if held is None else self._kept(held, limits)
        operators = held.operators if held is not None else options["operators"]

        wanted = Configuration(
            version=0, mode="PAPER", settings=limits, instruments=run.instruments, source=run.source,
            operators=operators,
            tournaments=Tournaments(schedule=schedule_of(active_rules()), history=run.history)
            if run.tournaments
            else None,
        )  # fmt: skip
        reason = f"start with {run.source.feed}: {run.source.detail}"
        sign = None
        if held is not None:  # what loosens a limit needs people's word beside it
            changed = filed(held, wanted)
            reason += f"; changes {', '.join(changed)}" if changed else ""
            try:
                sign = signer([START])
            except AuditError as error:
                raise CommandError(f"what this start changes cannot be signed: {error}", returncode=2) from error
        made = create_configuration(
            build=lambda version: msgspec.json.encode(msgspec.structs.replace(wanted, version=version)), actor=None,
            reason=reason[:500], sign=sign,
        )  # fmt: skip
        self.stdout.write(f"configuration {made.version}")

    def _kept(self, held: Configuration, given: Settings) -> Settings:
        """Return the file's settings with what people change in the control room alone as the database has it."""
        name = settings.DATA.settings.name
        if held.settings.limits != given.limits:
            self.stdout.write(
                f"limits: the database's version {held.version} holds, not {name}; change them under Limits"
            )
        for section in HELD:
            if getattr(held.settings, section) != getattr(given, section):
                self.stdout.write(f"{section}: version {held.version} holds, not {name}")
        return msgspec.structs.replace(
            given, limits=held.settings.limits, strategies=self._promoted(given.strategies),
            **{section: getattr(held.settings, section) for section in HELD},
        )  # fmt: skip

    def _promoted(self, filed: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        """Return the file's parameters, but those that people have promoted a variant over."""
        promoted = promoted_parameters()
        for strategy in promoted.keys() & filed.keys():
            if filed[strategy] != promoted[strategy]:
                self.stdout.write(f"strategies.{strategy}: the variant that people promoted holds, not the file")
        return {**filed, **promoted}
