"""The workbench: what each of its parts keeps. One section a part."""

from alembic import op

revision = "0004"
down_revision = "0003"

READINGS = """
"""
CORRECTIONS = """
"""
TRAININGS = """
"""
PUBLICATIONS = """
"""
REPLIES = """
"""


def upgrade() -> None:
    """Create everything."""
    for section in (READINGS, CORRECTIONS, TRAININGS, PUBLICATIONS, REPLIES):
        if section.strip():
            op.execute(section)
