from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('risk', '0003_signature'),
    ]

    operations = [
        migrations.AddField(
            model_name="configurationversion",
            name="refused",
            field=models.TextField(
                blank=True, help_text="why the worker did not take it, in its words; nothing is built on it then"
            ),
        ),
    ]
