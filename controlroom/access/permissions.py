"""Who may do what: the one table of roles. Groups get exactly these permissions after every migration."""

STRATEGY_DEVELOPER = "strategy developer"
TOURNAMENT_ADMINISTRATOR = "tournament administrator"
OVERSIGHT = "oversight"

PERMISSIONS = {
    "view_overview": "see the overview",
    "view_market": "see the market page",
    "view_positions": "see positions",
    "view_orders": "see orders and fills",
    "view_risk": "see limits in use, breakers and value at risk",
    "view_system": "see processes and lags",
    "view_audit": "see the audit of one's own area",
    "view_tournament_audit": "see the audit of every tournament",
    "view_whole_audit": "see the audit of everything",
    "verify_record": "verify the record, and stop a verification",
    "export_record": "export a part of the record with its proofs",
    "press_kill": "press the kill switch",
    "release_kill": "release the kill",
    "change_configuration": "change limits, weights and instruments",
    "control_replay": "pause, step and speed a replay",
    "view_limits": "see limits and what waits for approval",
    "approve": "approve and refuse what others ask for",
    "flatten": "close positions by reducing orders",
    "set_maintenance": "begin and end maintenance",
    "change_operators": "choose whether a loosening takes one operator or two",
    "view_tournaments": "see rounds of tournaments and their rules",
    "run_tournament": "run a round of the tournament",
    "change_tournament_rules": "draft and activate rules of tournaments",
    "override_allocation": "override and deploy allocations of capital",
}
"""Codename to what it allows, in words."""

_SEE = (
    "view_overview", "view_market", "view_positions", "view_orders", "view_risk", "view_system",
    "view_audit", "press_kill", "control_replay", "view_limits", "view_tournaments",
)  # fmt: skip
_TOURNAMENT = ("view_tournament_audit", "run_tournament", "change_tournament_rules")
_RECORD = ("view_whole_audit", "verify_record", "export_record")

DANGEROUS = (
    "release_kill", "change_configuration", "approve", "flatten", "set_maintenance", "change_operators",
    "override_allocation",
)  # fmt: skip
"""What asks for a one-time code: who holds one of these enrols a device at the first login."""

ROLES: dict[str, tuple[str, ...]] = {
    STRATEGY_DEVELOPER: _SEE,
    TOURNAMENT_ADMINISTRATOR: (*_SEE, *_TOURNAMENT),
    OVERSIGHT: (*_SEE, *_RECORD, *DANGEROUS),
}

SUPERUSER = frozenset(
    f"{app}.{verb}_{model}"
    for app, model in (
        ("access", "user"),
        ("access", "apitoken"),
        ("auth", "group"),
        ("guardian", "userobjectpermission"),
    )
    for verb in ("view", "add", "change", "delete")
) | {
    "admin.view_logentry",
    "events.view_outbox",
    "events.view_job",
    "risk.view_configurationversion",
    "agents.view_artefact",
    "tournaments.view_rulesversion",
    "tournaments.view_tournamentround",
    "tournaments.view_allocationversion",
}
"""All that ``is_superuser`` grants: people and their tokens, and looking at tables. No trading right is among it, nor
can one be added here by accident: a test compares the two lists."""


def named(codename: str) -> str:
    """Return a permission as ``has_perm`` takes it."""
    return f"access.{codename}"
