"""Tables of Delta Lake and Iceberg that Trino wrote, with what Trino itself reads of them."""
