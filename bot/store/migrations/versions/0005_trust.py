"""Trust: what keeps messages, alerts and retention honest. One section a part."""

from alembic import op

revision = "0005"
down_revision = "0004"

RETENTION = """
"""

CATCHUP = """
"""

ALERTS = """
"""

KEYS = """
"""


def upgrade() -> None:
    """Create everything."""
    for section in (RETENTION, CATCHUP, ALERTS, KEYS):
        if section.strip():
            op.execute(section)
