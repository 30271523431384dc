"""The one ledger read from outside: a list of fills booked by hand, and a day's statement from the journal."""
