"""Tables that users send: read in any of four formats, kept as Parquet, asked like a source."""
