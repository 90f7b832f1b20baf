"""PostgreSQL: events, conversations, outbox, hand-offs, accounts; one module per aggregate.

The schema is what `migrations/versions/` makes. Queries are SQLAlchemy Core statements over psycopg 3.
"""
