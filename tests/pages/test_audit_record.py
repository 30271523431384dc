"""Checkpoints, verification and export: asked for by those who may, one at a time, told to the record."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit import actions
from controlroom.access.models import User
from controlroom.pages.audit import record
from events import actions as jobs
from events.models import Job, Outbox
from events.paths import DataPaths
from tests.browser import recorded

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that were rung for, instead of a Celery worker that would hear it."""
    heard: list[int] = []
    monkeypatch.setattr(record, "ring", lambda job: heard.append(job.id))
    return heard


@pytest.fixture
def exports(station: Any) -> Iterator[Path]:
    """The folder of bundles, empty again afterwards."""
    yield station.paths.root / "exports"
    shutil.rmtree(station.paths.root / "exports", ignore_errors=True)


def told() -> list[tuple[str, str, str]]:
    rows = [json.loads(row.payload) for row in Outbox.objects.filter(stream="control.audit").order_by("id")]
    return [(row["action"], row["target"], row["outcome"]) for row in rows if "record" in row["action"]]


def ask(client: Client, what: str = "verify", **fields: str) -> Any:
    return client.post(f"/audit/{what}", fields)


def test_checkpoints_are_listed_with_what_they_do_not_cover(visitor: Client, station: Any) -> None:
    html = visitor.get("/audit/record").content.decode()
    assert (
        f'data-value="{recorded.RECORDS - recorded.SIGNED}">{recorded.RECORDS - recorded.SIGNED}</span> unsigned'
        in html
    )
    line = json.loads((station.paths.checkpoints / "execution.jsonl").read_text().splitlines()[0])
    assert f'title="{line["root"]}"' in html
    assert f'title="{line["key"]}"' in html


def test_a_verification_is_a_job_with_an_end(visitor: Client, station: Any, rung: list[int]) -> None:
    assert ask(visitor, writer="execution", **{"from": "3", "to": "60"}).url == "/audit/record"
    job = Job.objects.get()
    assert rung == [job.id]
    assert "waiting" in visitor.get("/audit/record").content.decode()
    assert actions.verify_record(job_id=job.id, owner="celery", paths=station.paths)
    assert not actions.verify_record(job_id=job.id, owner="another", paths=station.paths)
    job.refresh_from_db()
    assert (job.state, job.percent) == ("done", 100)
    html = visitor.get("/audit/record").content.decode()
    assert "✓ all held" in html
    assert "execution 3 to 60" in html
    assert told() == [
        ("verify the record", "execution 3 to 60", "requested"),
        ("verify the record", "execution 3 to 60", "done: all holds"),
    ]


def test_the_first_bad_record_is_named(visitor: Client, settings: Any, tmp_path: Path) -> None:
    settings.DATA = paths = DataPaths(tmp_path)
    recorded.write_journals(paths)
    segment = next((paths.journal / "execution").glob("*.seg"))
    segment.write_bytes(segment.read_bytes().replace(b"daily loss of bearish", b"daily loss of BEARISH"))
    ask(visitor)
    assert actions.verify_record(job_id=Job.objects.get().id, owner="celery", paths=paths)
    html = visitor.get("/audit/record").content.decode()
    assert "✗ did not hold" in html
    assert "✗ execution 40:" in html
    assert told()[-1][2].startswith("done: execution 40 does not hold")


def test_only_one_verification_at_a_time(visitor: Client, station: Any) -> None:
    ask(visitor)
    answer = ask(visitor)
    assert answer.status_code == 400
    assert f"job {Job.objects.get().id} is under way already" in answer.content.decode()
    assert "Verify</button>" not in visitor.get("/audit/record").content.decode()


def test_a_waiting_job_is_canceled_at_once(visitor: Client, station: Any) -> None:
    ask(visitor)
    job = Job.objects.get()
    assert visitor.post(f"/audit/jobs/{job.id}/cancel").url == "/audit/record"
    job.refresh_from_db()
    assert job.state == "canceled"
    assert not actions.verify_record(job_id=job.id, owner="celery", paths=station.paths)
    assert visitor.post(f"/audit/jobs/{job.id}/cancel").status_code == 400
    assert visitor.post("/audit/jobs/99/cancel").status_code == 400
    assert told()[-1] == ("cancel: verify the record", f"job {job.id}", "requested")


def test_a_running_job_stops_when_it_is_asked_to(visitor: Client, station: Any, monkeypatch: Any) -> None:
    ask(visitor)
    job = Job.objects.get()

    def long_work(*_: Any, progress: Callable[[int, int], None], **__: Any) -> None:
        progress(1, 100)
        visitor.post(f"/audit/jobs/{job.id}/cancel")
        lease.stop_wanted = jobs.heartbeat_job(job_id=job.id, owner="celery", phase=lease.phase, percent=lease.percent)
        assert "asked to stop" in visitor.get("/audit/record").content.decode()
        progress(2, 100)
        raise AssertionError("it went on")

    lease = jobs.Lease()
    monkeypatch.setattr(actions, "verify_data_directory", long_work)
    monkeypatch.setattr(actions, "_reporter", lambda _lease, phase: _REPORTER(lease, phase))
    assert actions.verify_record(job_id=job.id, owner="celery", paths=station.paths)
    job.refresh_from_db()
    assert (job.state, job.percent) == ("canceled", 1)
    assert told()[-1] == ("verify the record", "every journal", "canceled")


_REPORTER = actions._reporter


def test_a_job_whose_holder_died_is_done_by_the_next(visitor: Client, station: Any) -> None:
    ask(visitor)
    job = Job.objects.get()
    assert jobs.claim_job(job_id=job.id, owner="dead") is not None
    Job.objects.filter(id=job.id).update(lease_until=job.created)
    assert actions.verify_record(job_id=job.id, owner="alive", paths=station.paths)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 2)


def test_what_fails_says_why(visitor: Client, station: Any, monkeypatch: Any) -> None:
    ask(visitor)

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(actions, "verify_data_directory", broken)
    assert actions.verify_record(job_id=Job.objects.get().id, owner="celery", paths=station.paths)
    assert Job.objects.get().state == "failed"
    assert "the disk is gone" in visitor.get("/audit/record").content.decode()


def test_an_export_is_made_taken_and_told(visitor: Client, station: Any, exports: Path) -> None:
    assert ask(visitor, "export", writer="execution", **{"from": "3", "to": "9"}).status_code == 302
    job = Job.objects.get()
    assert visitor.post(f"/audit/jobs/{job.id}/bundle").status_code == 404
    assert actions.export_record(job_id=job.id, owner="celery", paths=station.paths)
    assert "Download</button>" in visitor.get("/audit/record").content.decode()
    answer = visitor.post(f"/audit/jobs/{job.id}/bundle")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="record-execution-3-9-job{job.id}.zip"'
    assert b"".join(answer.streaming_content).startswith(b"PK")
    assert [row[0] for row in told()] == ["export the record", "export the record"]
    last = json.loads(Outbox.objects.order_by("-id")[0].payload)
    assert (last["action"], last["target"]) == ("download an export", "execution 3 to 9")


@pytest.mark.parametrize(
    ("what", "fields", "sentence"),
    [
        ("verify", {"writer": "nobody"}, "journal 'nobody' is unknown; there are execution, station"),
        ("verify", {"writer": "execution", "from": "x"}, "from 'x' is no number of a record"),
        ("verify", {"from": "3"}, "a range of records belongs to one journal"),
        ("verify", {"writer": "execution", "from": "9", "to": "3"}, "from 9 is after to 3"),
        ("export", {"writer": "execution"}, "an export needs a journal, a first and a last record"),
        ("export", {"writer": "execution", "from": "0", "to": "200000"}, "allowed are 200000 at once"),
    ],
)
def test_bad_wishes_are_a_sentence_and_change_nothing(
    visitor: Client, station: Any, what: str, fields: dict[str, str], sentence: str
) -> None:
    answer = ask(visitor, what, **fields)
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("role", ["strategy developer", "tournament administrator"])
def test_who_sees_only_a_part_neither_verifies_nor_exports(
    person: Callable[..., User], client: Client, station: Any, role: str
) -> None:
    client.force_login(person(role))
    for path in ("/audit/verify", "/audit/export", "/audit/jobs/1/cancel", "/audit/jobs/1/bundle"):
        assert client.post(path).status_code == 403
    html = client.get("/audit/record").content.decode()
    assert "Verify</button>" not in html
    assert "Export</button>" not in html


def test_actions_ask_for_the_permission_themselves(person: Callable[..., User], station: Any) -> None:
    part = actions.Part(writer="execution", from_seq=0, to_seq=1, actor="dev")
    for ask_for in (actions.request_verification, actions.request_export):
        with pytest.raises(actions.PermissionDenied):
            ask_for(actor=person("strategy developer", name=ask_for.__name__), part=part)
    assert not Job.objects.exists()


@pytest.mark.parametrize("path", ["/audit/verify", "/audit/export", "/audit/jobs/1/cancel", "/audit/jobs/1/bundle"])
def test_changes_take_no_get(visitor: Client, station: Any, path: str) -> None:
    assert visitor.get(path).status_code == 405


def test_htmx_gets_the_work_alone(visitor: Client, station: Any) -> None:
    html = visitor.get("/audit/record", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in html
    assert "Verification" in html
