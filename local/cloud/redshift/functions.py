"""Redshift's functions: which exist, and what DuckDB lacks of them."""

from __future__ import annotations

import re
from typing import Any

from anomaly_detector.local_file import functions

# Names that may stand before a parenthesis. Anything else is refused, as DuckDB knows a great
# many functions that Redshift does not.
KNOWN: frozenset[str] = frozenset(
    re.findall(
        r"\w+",
        """
        abs acos add_months any_value approximate array array_concat array_flatten
        array_to_string ascii asin atan atan2 avg between bit_and bit_or bool_and bool_or
        bpcharcmp btrim bttext_pattern_cmp can_json_parse case cast cbrt ceil ceiling char
        char_length character_length charindex checksum chr coalesce collate concat convert
        convert_timezone cos cot count crc32 cube cume_dist current_database current_date
        current_schema current_time current_timestamp current_user date date_add date_cmp
        date_diff date_part date_part_year date_trunc dateadd datediff datepart decode
        degrees dense_rank dexp dlog1 dlog10 e exists exp extract farmfingerprint64
        first_value floor fnv_hash from_hex func_sha1 generate_series getdate
        get_array_length get_number_attributes getbit greatest grouping grouping_id
        hex_to_binary hllsketch hll hll_cardinality hll_combine in initcap interval_cmp
        is_array is_bigint is_boolean is_char is_decimal is_float is_integer is_object
        is_scalar is_smallint is_super is_valid_json is_valid_json_array is_varchar isnull
        json_array_length json_extract_array_element_text json_extract_path_text json_parse
        json_serialize json_size json_type lag last_day last_value lead least left len
        length listagg ln localtime localtimestamp log lower lpad ltrim max md5 median min
        mod months_between next_day not now nth_value ntile nullif nvl nvl2 object
        octet_length octetindex oid over overlay partition percent_rank percentile_cont
        percentile_disc pg_backend_pid pg_get_userbyid pi pivot position pow power
        quote_ident quote_literal radians random rank ratio_to_report regexp_count
        regexp_instr regexp_replace regexp_substr repeat replace replicate reverse right
        rollup round row_number rpad rtrim session_user sets sha sha1 sha2 sign sin some
        soundex split_part split_to_array sqrt st_astext stddev stddev_pop stddev_samp
        strlen strpos strtol subarray substr substring sum sysdate tan textlen time
        timeofday timestamp timestamp_cmp timestamp_cmp_date timestamptz timezone to_char
        to_date to_hex to_number to_timestamp to_varbyte translate trim trunc try_cast
        typeof unpivot upper user using values var_pop var_samp varbyte variance version
        width_bucket within all and any as by else end exclude from group having join limit
        on or order qualify select then top union when where with varchar nvarchar bpchar
        character text decimal numeric float float4 float8 real double int int2 int4 int8
        integer bigint smallint bool boolean timetz interval super nchar nullifempty
        charlength strtok ratio identity intersect except minus distinct filter rows range
        like ilike similar is null offset inner left outer right full cross
        """,
    )
)

# Of the leader node only: a query that reads tables may not use them.
LEADER_WORDS = frozenset({"current_time", "current_timestamp", "localtime", "localtimestamp"})
LEADER_FUNCTIONS = frozenset(
    {
        "age",
        "current_schema",
        "current_schemas",
        "factorial",
        "generate_series",
        "has_database_privilege",
        "has_schema_privilege",
        "has_table_privilege",
        "isfinite",
        "now",
        "pg_get_userbyid",
    }
)


# What a macro knows and a translation does not: the type of its argument.
_TEXT = """CREATE OR REPLACE MACRO rs_text(v) AS CASE WHEN typeof(v) = 'BOOLEAN'
    THEN error('cannot cast type boolean to character varying') ELSE CAST(v AS VARCHAR) END"""


def register(connection: Any) -> None:  # noqa: ANN401 - DuckDB's connection has no type
    """Make the functions known that translated statements call."""
    functions.register(connection)
    connection.execute(_TEXT)
