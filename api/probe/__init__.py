"""`vdw probe`: what a source computes as PostgreSQL does, tried on the source itself; see docs/probe.md."""
