"""Redshift's functions that DuckDB lacks, for a file and for the stand-in alike."""

# ruff: noqa: ANN401 - DuckDB takes functions of any form

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
