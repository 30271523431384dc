"""The execution agent: what executions cost against what was expected, and what the next one should cost."""
