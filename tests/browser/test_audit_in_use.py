"""What a person does with the audit: search, open a record, check its proof in the browser, follow a request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from events.bus import beat, order
from tests.browser import recorded
from tests.browser.conftest import Trouble
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser
RECORD = "/audit/execution/40"
Change = Callable[[dict[str, Any]], None]


def opened(page: Page, stage: Stage, path: str = RECORD) -> None:
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")


def checked(page: Page) -> list[str]:
    """Press the button and return the mark of each step."""
    page.get_by_role("button", name="Check in this browser").click()
    expect(page.locator("#verdict")).to_have_attribute("data-holds", "false" if tampered(page) else "true")
    return page.locator("#checks > li > strong").all_inner_texts()


def tampered(page: Page) -> bool:
    return bool(page.evaluate("window.tampered === true"))


def change_proof(page: Page, change: Change) -> None:
    """Answer with a proof that was changed on its way."""

    def answer(route: Route) -> None:
        proof = route.fetch().json()
        change(proof)
        route.fulfill(json=proof)

    page.route("**/proof", answer)


def test_the_browser_recomputes_every_step(page: Page, stage: Stage) -> None:
    opened(page, stage)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    marks = checked(page)
    assert set(marks) == {"✓"}
    assert len(marks) >= 8
    expect(page.locator("#verdict")).to_contain_text("this record is in the signed tree exactly as it stands here")
    steps = page.locator("#checks").inner_text()
    checkpoint = json.loads((stage.paths.checkpoints / "execution.jsonl").read_text().splitlines()[-1])
    assert checkpoint["root"] in steps
    assert page.locator("#proof").get_attribute("data-hash") in steps
    assert "Signature of the checkpoint (Ed25519)" in steps
    assert [line for line in sent if "/proof" in line] == [f"GET {stage.url}{RECORD}/proof"]
    assert not [line for line in sent if line.startswith("POST")]


def other(text: str) -> str:
    """Return hexadecimal text with one letter changed."""
    return ("0" if text[0] != "0" else "1") + text[1:]


def with_checkpoint(change: Change) -> Change:
    """Change the checkpoint inside a proof."""

    def changed(proof: dict[str, Any]) -> None:
        given = proof["checkpoint"]
        checkpoint = json.loads(given) if isinstance(given, str) else given
        change(checkpoint)
        proof["checkpoint"] = json.dumps(checkpoint, separators=(",", ":")) if isinstance(given, str) else checkpoint

    return changed


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda proof: proof.update(raw=proof["raw"].replace("bearish", "bullish")), "SHA-256 of the stored bytes"),
        (lambda proof: proof["path"].__setitem__(2, other(proof["path"][2])), "Root that the path leads to"),
        (lambda proof: proof["path"].pop(), "Path from leaf 40"),
        (lambda proof: proof["path"].append("00" * 32), "Path from leaf 40"),
        (lambda proof: proof["path"].__setitem__(0, "no hash"), "Path from leaf 40"),
        (with_checkpoint(lambda point: point.update(root=other(point["root"]))), "Root that the path leads to"),
        (with_checkpoint(lambda point: point.update(utc_ns=point["utc_ns"] + 1)), "Signature of the checkpoint"),
        (with_checkpoint(lambda point: point.update(signature="A" * 86 + "==")), "Signature of the checkpoint"),
    ],
    ids=["payload", "sibling", "path short", "path long", "path garbage", "root", "checkpoint's time", "signature"],
)
def test_a_tampered_proof_fails_visibly(page: Page, stage: Stage, change: Change, step: str) -> None:
    change_proof(page, change)
    opened(page, stage)
    page.evaluate("window.tampered = true")
    checked(page)
    failed = page.locator('#checks > li[data-holds="false"]')
    expect(failed.filter(has_text=step)).to_have_count(1)
    expect(page.locator("#verdict")).to_contain_text("✗ It does not hold")


def test_a_copy_of_ones_own_is_compared_and_stays_here(page: Page, stage: Stage, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    line = (stage.paths.checkpoints / "execution.jsonl").read_text()
    kept.write_text(line)
    opened(page, stage)
    page.set_input_files("#own-checkpoints", kept)
    assert set(checked(page)) == {"✓"}
    expect(page.locator("#checks")).to_contain_text("is the same, byte for byte")
    checkpoint = json.loads(line.splitlines()[0])
    kept.write_text(line.replace(checkpoint["root"], other(checkpoint["root"])))
    page.set_input_files("#own-checkpoints", kept)
    page.evaluate("window.tampered = true")
    checked(page)
    expect(page.locator('#checks > li[data-holds="false"]')).to_contain_text("Your copy kept.jsonl")


def test_another_key_than_the_stations_is_found_out(page: Page, stage: Stage, tmp_path: Path) -> None:
    from audit.keys import create_missing  # noqa: PLC0415
    from events.paths import DataPaths  # noqa: PLC0415

    elsewhere = DataPaths(tmp_path)
    create_missing(elsewhere)
    opened(page, stage)
    page.set_input_files("#own-key", next(elsewhere.keys.glob("signing-*.pub")))
    page.evaluate("window.tampered = true")
    checked(page)
    expect(page.locator('#checks > li[data-holds="false"]').first).to_contain_text("ublic key")


def test_a_browser_without_ed25519_says_so_instead_of_passing(page: Page, stage: Stage) -> None:
    page.add_init_script(
        """const real = crypto.subtle.importKey.bind(crypto.subtle);
        SubtleCrypto.prototype.importKey = (...given) => given[2].name === "Ed25519"
          ? Promise.reject(new DOMException("no", "NotSupportedError")) : real(...given);"""
    )
    opened(page, stage)
    page.get_by_role("button", name="Check in this browser").click()
    expect(page.locator("#verdict")).to_contain_text("could not be checked here")
    expect(page.locator("#checks")).to_contain_text("this browser has no Ed25519")


def test_without_web_crypto_a_clear_sentence(page: Page, stage: Stage) -> None:
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    opened(page, stage)
    page.get_by_role("button", name="Check in this browser").click()
    expect(page.locator("#verdict")).to_contain_text("only for pages from this machine or over TLS")


def test_a_record_that_is_not_signed_yet_says_so(page: Page, stage: Stage, trouble: Trouble) -> None:
    opened(page, stage, f"/audit/execution/{recorded.RECORDS - 1}")
    page.get_by_role("button", name="Check in this browser").click()
    expect(page.locator("#verdict")).to_contain_text("No proof yet")
    trouble.expected("409")


def test_the_search_leads_to_a_record_and_on_to_its_neighbour(page: Page, stage: Stage) -> None:
    opened(page, stage, "/audit/")
    page.get_by_label("type").fill("StateEvent")
    page.get_by_label("text in the payload").fill("daily LOSS")
    page.get_by_role("button", name="Search").click()
    assert "type=StateEvent" in page.url
    page.locator("#events tbody a").click()
    expect(page).to_have_url(f"{stage.url}{RECORD}")
    page.locator("a[rel=next]").click()
    expect(page).to_have_url(f"{stage.url}/audit/execution/41")


def test_a_request_is_followed_until_it_is_done(page: Page, stage: Stage) -> None:
    from controlroom.relay.outgoing import FIELD  # noqa: PLC0415

    opened(page, stage, "/positions/")
    page.get_by_role("button", name="Pause the replay").click()
    line = page.locator("[data-request]")
    expect(line).to_contain_text("pause: requested")
    number = line.get_attribute("data-request")
    entry = stage.beaters["relay"].xadd("control.feed", {FIELD: b"{}"}).decode()
    stage.manage_shell(
        f"from events.actions import mark_published; from django.utils import timezone;"
        f"mark_published(entries={{{number}: '{entry}'}}, now=timezone.now())"
    )
    expect(line).to_contain_text("sent")
    milliseconds, part = order(entry)
    beat(stage.beaters["feed"], "feed", {"control.ms": milliseconds, "control.number": part})
    stage.manage_shell(
        "from controlroom.relay.answers import take_answers; from events import bus; from django.conf import settings;"
        "take_answers(bus.connect(settings.DATA, 'relay'))"
    )
    expect(line).to_contain_text("acknowledged by the feed")
    expect(line).to_have_attribute("data-state", "done")


def test_a_verification_is_seen_waiting_and_canceled(page: Page, stage: Stage) -> None:
    opened(page, stage, "/audit/record")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#work")).to_contain_text("waiting")
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator("#work")).to_contain_text("canceled")
