"""What the record's proofs can say against going on."""


class AuditError(RuntimeError):
    """One sentence: what cannot be proved, signed or read, and what to do."""
