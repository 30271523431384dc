"""A record's page and its proof: what they show, to whom, and that the proof holds by other means than ours."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.test import Client

from agents.actions import assign_strategies
from controlroom.access.models import User
from events.paths import DataPaths
from events.reader import JournalReader
from tests.browser import recorded

pytestmark = pytest.mark.django_db


def hashes(html: str) -> list[str]:
    return re.findall(r"<code>([0-9a-f]{64})</code>", html)


def test_a_record_is_shown_between_its_neighbours(visitor: Client, station: Any) -> None:
    html = visitor.get("/audit/execution/40").content.decode()
    before, this, after = list(JournalReader(station.paths.journal / "execution").stored(39))[:3]
    assert hashes(html) == [before.hash, this.record.prev, this.hash, after.record.prev]
    assert html.count("✓ the same hash") == 2
    assert "&quot;cause&quot;: &quot;daily loss of bearish&quot;" in html
    assert this.raw.decode().replace('"', "&quot;") in html


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/audit/execution/0", "this is the first record"),
        (f"/audit/execution/{recorded.RECORDS - 1}", "this is the last record of the journal"),
    ],
)
def test_the_ends_of_a_journal_are_said(visitor: Client, station: Any, path: str, sentence: str) -> None:
    assert sentence in visitor.get(path).content.decode()


@pytest.mark.parametrize("path", ["/audit/execution/9999", "/audit/nobody/1", "/audit/nobody/1/proof"])
def test_what_is_not_there_is_not_found(visitor: Client, station: Any, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_a_developer_opens_own_records_alone(person: Callable[..., User], client: Client, station: Any) -> None:
    user = person("strategy developer", name="dev")
    assign_strategies(user=user, names=["momentum"])
    client.force_login(user)
    own = next(n for n in range(recorded.SIGNED) if recorded.payload_of(n)[0] == "momentum")
    html = client.get(f"/audit/execution/{own}").content.decode()
    assert "not of your area" in html
    assert client.get(f"/audit/execution/{own}/proof").status_code == 200
    for path in ("/audit/execution/40", "/audit/execution/40/proof", "/audit/station/0"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "you see events of your strategies (momentum)" in answer.content.decode()


@pytest.mark.parametrize(("writer", "seq"), [("execution", 0), ("execution", 40), ("execution", 69), ("station", 1)])
def test_the_proof_leads_to_the_signed_root(visitor: Client, station: Any, writer: str, seq: int) -> None:
    proof = visitor.get(f"/audit/{writer}/{seq}/proof").json()
    checkpoint = json.loads(proof["checkpoint"]) if isinstance(proof["checkpoint"], str) else proof["checkpoint"]
    record_hash = hashlib.sha256(proof["raw"].encode()).digest()
    node, last, root = seq, checkpoint["tree_size"] - 1, hashlib.sha256(b"\0" + record_hash).digest()
    for sibling in map(bytes.fromhex, proof["path"]):
        left = bool(node & 1) or node == last
        root = hashlib.sha256(b"\1" + (sibling + root if left else root + sibling)).digest()
        while left and not node & 1 and node:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    assert last == 0
    assert root.hex() == checkpoint["root"] == proof["root"]
    signature = base64.b64decode(checkpoint.pop("signature"))
    signed = json.dumps(checkpoint, separators=(",", ":")).encode()
    load_pem_public_key(proof["public_key"].encode()).verify(signature, signed)


def test_a_record_that_is_not_signed_yet_says_so(visitor: Client, station: Any) -> None:
    answer = visitor.get(f"/audit/execution/{recorded.RECORDS - 1}/proof")
    assert answer.status_code == 409
    assert answer.json()["error"]


def test_damage_is_said_instead_of_a_page_that_fails(visitor: Client, settings: Any, tmp_path: Path) -> None:
    paths = DataPaths(tmp_path)
    recorded.write_journals(paths)
    settings.DATA = paths
    segment = next((paths.journal / "execution").glob("*.seg"))
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b'"seq":40,', b'"seq":41,', 1))
    answer = visitor.get("/audit/execution/40")
    assert answer.status_code in {200, 404}
    assert b"40" in answer.content


def test_a_changed_payload_breaks_the_visible_chain(visitor: Client, settings: Any, tmp_path: Path) -> None:
    from crc32c import crc32c  # noqa: PLC0415

    from events.segments import FRAME  # noqa: PLC0415

    paths = DataPaths(tmp_path)
    recorded.write_journals(paths)
    settings.DATA = paths
    segment = next((paths.journal / "execution").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    raw = JournalReader(paths.journal / "execution").get(40).raw
    changed = raw.replace(b"daily loss of bearish", b"daily loss of BEARISH")
    at = data.find(raw)
    data[at : at + len(raw)] = changed
    data[at - 8 : at] = FRAME.pack(len(changed), crc32c(changed))
    segment.write_bytes(data)
    html = visitor.get("/audit/execution/40").content.decode()
    assert html.count("✗ two different hashes") == 1
    assert html.count("✓ the same hash") == 1


@pytest.mark.parametrize(
    ("query", "status", "leads"),
    [
        ("writer=execution&seq=40", 302, "/audit/execution/40"),
        ("writer=execution&seq=", 400, ""),
        ("writer=execution&seq=-1", 400, ""),
        ("writer=../secrets&seq=1", 400, ""),
    ],
)
def test_a_number_leads_to_its_record(visitor: Client, station: Any, query: str, status: int, leads: str) -> None:
    answer = visitor.get(f"/audit/open?{query}")
    assert answer.status_code == status
    assert answer.headers.get("Location", "") == leads
