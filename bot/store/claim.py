"""The sender's claim: one statement that finds what may leave and leases it, however much waits.

Replies are read account by account, each from the head of its own index range, so that the rows of an account that is
stopped, paused or at its ceiling cost nothing to the others. The statements themselves are functions of the database (migration
0006), which alone can keep their plans from being made for a table that was small then.

Parameters: $1 now, $2 lanes, $3 ids that this process holds, $4 how many, $5 the lease; for replies $6 the accounts that
are left alone, and $7 the one account that is asked for, stopped or not, or NULL.
"""

from __future__ import annotations

REPLIES = "SELECT * FROM claim_replies($1, $2, $3, $4, $5, $6, $7)"
EMERGENCIES = "SELECT * FROM claim_emergencies($1, $2, $3, $4, $5)"
