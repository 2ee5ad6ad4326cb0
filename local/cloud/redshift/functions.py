"""Redshift's functions: which exist, and those that DuckDB lacks."""

# ruff: noqa: ANN401 - DuckDB takes functions of any form

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
        hex_to_binary hllsketch hll hll_cardinality hll_combine if in initcap interval_cmp
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

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


def fnv1a(data: bytes, seed: int | None = None) -> int:
    """Return FNV-1a of 64 bits as a signed number, the seed being the state to start from.

    References
    ----------
    Fowler, Noll, Vo: the FNV non-cryptographic hash, draft-eastlake-fnv.
    """
    state = int(_OFFSET) if seed is None else seed % 2**64
    for byte in data:
        state = ((state ^ byte) * int(_PRIME)) % 2**64
    return state - 2**64 if state >= 2**63 else state


def _hash_text(values: pa.ChunkedArray, seeds: pa.ChunkedArray | None) -> pa.Array:
    """Hash texts; each distinct pair of text and seed is hashed once, as groups are few."""
    texts = values.to_pylist()
    starts = seeds.to_pylist() if seeds is not None else [None] * len(texts)
    known: dict[tuple[str | None, int | None], int | None] = {}
    out: list[int | None] = []
    for pair in zip(texts, starts, strict=True):
        if pair not in known:
            text, seed = pair
            known[pair] = None if text is None else fnv1a(text.encode(), seed)
        out.append(known[pair])
    return pa.array(out, pa.int64())


def _hash_number(
    values: pa.ChunkedArray, width: pa.ChunkedArray, seeds: pa.ChunkedArray | None
) -> pa.Array:
    """Hash whole numbers, little-endian and as wide as their type; vectorised."""
    numbers = pc.fill_null(values, 0).to_numpy().astype(np.int64).view(np.uint64)
    state = (
        np.full(len(numbers), _OFFSET)
        if seeds is None
        else pc.fill_null(seeds, 0).to_numpy().astype(np.int64).view(np.uint64).copy()
    )
    size = int(width[0].as_py()) if len(width) else 0
    with np.errstate(over="ignore"):
        for place in range(size):
            state = (state ^ ((numbers >> np.uint64(8 * place)) & np.uint64(0xFF))) * _PRIME
    return pc.if_else(
        values.is_valid(), pa.array(state.view(np.int64)), pa.scalar(None, pa.int64())
    )


def _strtol(text: str, base: int) -> int:
    return int(text.strip() or "0", base)


def register(connection: Any) -> None:
    """Make the missing functions known to a DuckDB connection."""

    def add(name: str, function: Any, types: list[str], *, arrow: bool = True) -> None:
        connection.create_function(
            name,
            function,
            types,
            "BIGINT",
            type="arrow" if arrow else "native",
            null_handling="special" if arrow else "default",
        )

    add("rs_hash_text", lambda v: _hash_text(v, None), ["VARCHAR"])
    add("rs_hash_text_seed", _hash_text, ["VARCHAR", "BIGINT"])
    add("rs_hash_number", lambda v, w: _hash_number(v, w, None), ["BIGINT", "INTEGER"])
    add("rs_hash_number_seed", _hash_number, ["BIGINT", "INTEGER", "BIGINT"])
    add("rs_strtol", _strtol, ["VARCHAR", "BIGINT"], arrow=False)
    for statement in _MACROS:
        connection.execute(statement)


_WIDTH = (
    "CASE typeof(v) WHEN 'SMALLINT' THEN 2 WHEN 'INTEGER' THEN 4 WHEN 'BIGINT' THEN 8 "
    "WHEN 'DATE' THEN 4 WHEN 'BOOLEAN' THEN 1 ELSE 0 END"
)
_MACROS = (
    f"""CREATE OR REPLACE MACRO fnv_hash
        (v) AS CASE WHEN typeof(v) IN ('SMALLINT', 'INTEGER', 'BIGINT', 'BOOLEAN')
            THEN rs_hash_number(TRY_CAST(v AS BIGINT), {_WIDTH})
            ELSE rs_hash_text(CAST(v AS VARCHAR)) END,
        (v, seed) AS CASE WHEN typeof(v) IN ('SMALLINT', 'INTEGER', 'BIGINT', 'BOOLEAN')
            THEN rs_hash_number_seed(TRY_CAST(v AS BIGINT), {_WIDTH}, CAST(seed AS BIGINT))
            ELSE rs_hash_text_seed(CAST(v AS VARCHAR), CAST(seed AS BIGINT)) END""",
    """CREATE OR REPLACE MACRO rs_getdate() AS
        date_trunc('second', CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP))""",
    "CREATE OR REPLACE MACRO rs_sysdate() AS CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP)",
    "CREATE OR REPLACE MACRO is_valid_json(v) AS json_valid(v)",
    "CREATE OR REPLACE MACRO octet_length(v) AS strlen(v)",
    "CREATE OR REPLACE MACRO sha2(v, bits) AS sha256(v)",
    "CREATE OR REPLACE MACRO date_part_year(v) AS year(v)",
    "CREATE OR REPLACE MACRO replicate(v, n) AS repeat(v, n)",
    "CREATE OR REPLACE MACRO dlog10(v) AS log10(v)",
    "CREATE OR REPLACE MACRO dlog1(v) AS ln(v)",
    "CREATE OR REPLACE MACRO dexp(v) AS exp(v)",
)
