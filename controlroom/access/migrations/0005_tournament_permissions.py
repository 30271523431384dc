from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0004_view_risk"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="station",
            options={
                "default_permissions": (),
                "managed": False,
                "permissions": [
                    ("view_overview", "see the overview"),
                    ("view_market", "see the market page"),
                    ("view_positions", "see positions"),
                    ("view_orders", "see orders and fills"),
                    ("view_risk", "see limits in use, breakers and value at risk"),
                    ("view_system", "see processes and lags"),
                    ("view_audit", "see the audit of one's own area"),
                    ("view_tournament_audit", "see the audit of every tournament"),
                    ("view_whole_audit", "see the audit of everything"),
                    ("verify_record", "verify the record, and stop a verification"),
                    ("export_record", "export a part of the record with its proofs"),
                    ("press_kill", "press the kill switch"),
                    ("release_kill", "release the kill"),
                    ("change_configuration", "change limits, weights and instruments"),
                    ("control_replay", "pause, step and speed a replay"),
                    ("view_limits", "see limits and what waits for approval"),
                    ("approve", "approve and refuse what others ask for"),
                    ("flatten", "close positions by reducing orders"),
                    ("set_maintenance", "begin and end maintenance"),
                    ("change_operators", "choose whether a loosening takes one operator or two"),
                    ("view_tournaments", "see rounds of tournaments and their rules"),
                    ("run_tournament", "run a round of the tournament"),
                    ("change_tournament_rules", "draft and activate rules of tournaments"),
                ],
            },
        ),
    ]
