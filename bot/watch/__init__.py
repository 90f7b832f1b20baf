"""What others watch Planton by: Prometheus metrics and OpenTelemetry spans. Kinds and outcomes, never ids or words."""
