"""Values that the samples of several engines share."""

from __future__ import annotations

INF_DAYS, INF_US = 2**31 - 1, 2**63 - 1
US = 1_000_000
MIDNIGHT = 1_711_843_200 * US  # 2024-03-31 00:00 UTC, the day on which clocks change in Europe
UUID = "123e4567-e89b-12d3-a456-426655440000"
TEXTS = (
    ("''", ""),
    ("'a  '", "a  "),
    ("'Ünï ß 漢字 🎉'", "Ünï ß 漢字 🎉"),
    ("'it''s \"q\" \\x %s'", 'it\'s "q" \\x %s'),
)
