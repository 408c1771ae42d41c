"""What PostgreSQL 18's pg_proc says of its functions, as far as planning needs it."""

from __future__ import annotations

AGGREGATES = frozenset(
    "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every "
    "json_agg json_agg_strict json_arrayagg json_object_agg json_objectagg json_object_agg_strict "
    "json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg "
    "jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode "
    "percentile_cont percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count "
    "regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg "
    "sum var_pop var_samp variance xmlagg grouping".split()
)

SET_RETURNING = frozenset(
    "aclexplode generate_series generate_subscripts json_array_elements json_array_elements_text json_each "
    "json_each_text json_object_keys json_populate_recordset json_to_recordset jsonb_array_elements "
    "jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys jsonb_path_query "
    "jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset regexp_matches regexp_split_to_table "
    "string_to_table txid_snapshot_xip unnest".split()
)

# The clock: within one statement it stands still.
CLOCK = {
    "NOW()": "timestamptz", "CURRENT_TIMESTAMP": "timestamptz", "CURRENT_DATE": "date", "LOCALTIMESTAMP": "timestamp",
    "TRANSACTION_TIMESTAMP()": "timestamptz", "STATEMENT_TIMESTAMP()": "timestamptz",
}  # fmt: skip

_VOLATILE = frozenset(
    "array_sample array_shuffle clock_timestamp current_query currval cursor_to_xml gen_random_uuid lastval "
    "loread lowrite nextval query_to_xml random random_normal set_config setseed setval timeofday uuidv4 "
    "uuidv7 uuid get_random_uuid rand".split()
)
_VOLATILE_PREFIXES = ("pg_", "lo_", "ts_stat", "txid_", "inet_", "brin_", "gin_")


def is_volatile(name: str) -> bool:
    """Whether two calls in one statement may differ; internal functions are taken to be."""
    return name in _VOLATILE or name.startswith(_VOLATILE_PREFIXES)
