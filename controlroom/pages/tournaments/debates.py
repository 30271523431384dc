"""What was predicted and said in a round, after the reveal: entries; challenge, defence and ruling of each claim."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from controlroom.pages.formats import NOTHING, plain, price_decimals, signed
from controlroom.pages.tournaments.shown import change, percent, unit
from controlroom.pages.tournaments.stress_paths import picture

if TYPE_CHECKING:
    from agents.brains.port import Claim, Prediction, Reply
    from tournaments.record import Debate, RoundRecord, Ruled

OUTCOMES = ("down", "flat", "up")
SIGNS = ("\u25bc", "\u25ac", "\u25b2")
METRICS = {"mean_loss": "mean excess loss", "tail_loss": "mean of the worst twentieth of excess losses"}


def entry(record: "RoundRecord", name: str) -> dict[str, Any]:
    """Return one entrant's line: how sure it is, before and after the defence, which way it leans, its claims."""
    before, after = record.entries[name], record.revised.get(name, [])
    debate = record.debates.get(name)
    rulings = debate.rulings if debate else []
    checked = [each.score for each in debate.judgements] if debate else []
    return {
        "state": "revealed", "symbols": len(before), "confidence": plain(_mean(each.confidence for each in before), 2),
        "revised": plain(_mean(each.confidence for each in after), 2) if after else "",
        "lean": signed(_mean(each.probabilities[2] - each.probabilities[0] for each in after or before), 2),
        "claims": len(debate.claims) if debate else 0, "replies": len(debate.replies) if debate else 0,
        "held": sum(each.holds for each in rulings), "ruled": len(rulings),
        "checklist": plain(_mean(checked), 2) if checked else NOTHING,
        "challenger": plain(_mean(each.challenger_brier for each in rulings), 3) if rulings else NOTHING,
        "defender": plain(_mean(each.defender_brier for each in rulings), 3) if rulings else NOTHING,
    }  # fmt: skip


def predictions(record: "RoundRecord", name: str) -> list[dict[str, Any]]:
    """Return one entrant's predictions by symbol, as revised where they were, and what came true where it has."""
    revised = {each.symbol: each for each in record.revised.get(name, [])}
    return [_prediction(record, each, revised.get(each.symbol)) for each in record.entries.get(name, [])]


def _prediction(record: "RoundRecord", sealed: "Prediction", revised: "Prediction | None") -> dict[str, Any]:
    now, came = revised or sealed, record.settlement
    down, flat, up = now.probabilities
    decimals = price_decimals(now.entry)
    row = {
        "symbol": now.symbol, "flat_at": unit(down), "flat_wide": unit(flat), "up_at": unit(down + flat),
        "up_wide": unit(up), "shares": list(zip(SIGNS, OUTCOMES, _shares(now.probabilities), strict=True)),
        "sealed": _shares(sealed.probabilities) if _shares(sealed.probabilities) != _shares(now.probabilities) else [],
        "expected": change(now.expected_return), "confidence": plain(now.confidence, 2),
        "entry": plain(now.entry, decimals), "target": plain(now.take_profit, decimals),
        "stop": plain(now.stop_loss, decimals), "rationale": now.rationale, "factors": list(now.risk_factors),
        "came": None,
    }  # fmt: skip
    if came is not None and now.symbol in came.classes:
        row |= {"came": OUTCOMES[came.classes[now.symbol]], "moved": change(came.returns[now.symbol])}
    return row


def claims(record: "RoundRecord", name: str) -> list[dict[str, Any]]:
    """Return the claims against one entrant in their order, each with what has become of it so far."""
    debate = record.debates.get(name)
    interval_s = record.opened.interval_s if record.opened else 0
    return [] if debate is None else [_claim(debate, k, claim, interval_s) for k, claim in enumerate(debate.claims)]


def _claim(debate: "Debate", k: int, claim: "Claim", interval_s: int) -> dict[str, Any]:
    from tournaments.stress.scenarios import FAMILIES  # noqa: PLC0415 - the package's docstring says why

    family = FAMILIES.get(claim.family)
    row: dict[str, Any] = {
        "number": k + 1, "family": claim.family.replace("_", " "), "title": family.title if family else "",
        "parameters": [f"{name} {value:g}" for name, value in claim.parameters.items()], "statement": claim.statement,
        "metric": METRICS.get(claim.metric, claim.metric), "threshold": percent(claim.threshold, 3),
        "probability": plain(claim.probability, 2), "reply": None, "checklist": None, "ruling": None, "path": None,
    }  # fmt: skip
    if k < len(debate.replies):
        row["reply"] = _reply(debate.replies[k])
    if k < len(debate.judgements):
        judged = debate.judgements[k]
        items = [(item.replace("_", " "), plain(value, 2)) for item, value in judged.items.items()]
        row["checklist"] = {"score": plain(judged.score, 2), "items": items}
    if k < len(debate.rulings):
        ruled = debate.rulings[k]
        row["ruling"] = _ruling(ruled)
        row["path"] = picture(ruled.path, ruled, interval_s) if ruled.path else None
    return row


def _reply(reply: "Reply") -> dict[str, str]:
    return {
        "precedents": reply.precedents, "stands": reply.why_it_stands, "changes": reply.changes_mind_when,
        "probability": plain(reply.probability, 2),
    }  # fmt: skip


def _ruling(ruled: "Ruled") -> dict[str, Any]:
    most = max(abs(ruled.measured), abs(ruled.threshold), 1e-12) * 1.25
    return {
        "holds": ruled.holds, "measured": percent(ruled.measured, 3), "threshold": percent(ruled.threshold, 3),
        "bar": unit(ruled.measured / most), "mark": unit(ruled.threshold / most),
        "challenger": plain(ruled.challenger_brier, 3), "defender": plain(ruled.defender_brier, 3),
    }  # fmt: skip


def _shares(probabilities: Iterable[float]) -> list[str]:
    return [plain(value * 100, 0) for value in probabilities]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
