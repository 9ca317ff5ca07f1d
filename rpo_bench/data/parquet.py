"""Reads rows of Parquet files within limits, as a few bytes may encode any number of values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpo_bench.data.excerpt import LONG, excerpt
from rpo_bench.data.json_text import MAX_DEPTH
from rpo_bench.errors import UserError
from rpo_bench.files.expanding import check_expansion
from rpo_bench.files.reading import opened

_BATCH = 4_096  # rows
_TEXTS = "BYTE_ARRAY"
#: Errors for texts that aren't UTF-8, dates beyond the year 9999, and unknown time zones.
_UNREADABLE = (ValueError, OverflowError, KeyError)


def parquet_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    """The rows in order; for an unreadable row, the reason.

    Raises:
        UserError: It isn't Parquet, is damaged, has duplicate columns, or expands too much.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(path) as stream:
            size = stream.seek(0, 2)
        with pq.ParquetFile(path, schema_depth_limit=MAX_DEPTH) as file:
            plain = file.schema_arrow
            _check_names(path, [plain.field(i) for i in range(len(plain.names))])
            check_expansion(path, _declared(file.metadata), size)
            columns = [file.schema.column(i) for i in range(len(file.schema))]
            texts = [column.path for column in columns if column.physical_type == _TEXTS]
        expanded = 0
        # Texts are read dictionary-encoded, and their total size is checked before decoding: one text of a
        # megabyte may be repeated in every row.
        with pq.ParquetFile(path, schema_depth_limit=MAX_DEPTH, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                expanded += sum(map(_weight, batch.columns))
                check_expansion(path, expanded, size)
                yield from _rows(pa.Table.from_batches([batch]).cast(plain))
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        reason = excerpt(str(error).partition("\n")[0], LONG)
        raise UserError(f"{path}: not a Parquet file, or a damaged one ({reason}).") from None


def _check_names(path: Path, fields: list[Any]) -> None:
    """Raises UserError where two columns, or two fields of a struct in one, have one name."""
    import pyarrow as pa

    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise UserError(f"{path} has the column '{excerpt(field.name)}' twice.")
        seen.add(field.name)
        inner = field.type
        while pa.types.is_list(inner) or pa.types.is_large_list(inner):
            inner = inner.value_type
        if pa.types.is_struct(inner):
            _check_names(path, [inner.field(i) for i in range(inner.num_fields)])


def _declared(metadata: Any) -> int:
    """Bytes and values that the file declares; a byte may encode millions of nulls."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    sizes = [max(chunk.total_uncompressed_size, 0) + max(chunk.num_values, 0) for chunk in chunks]
    return int(sum(sizes) + max(0, metadata.num_rows))


def _weight(column: Any) -> int:
    """Bytes of a column after decoding its texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)
    if pa.types.is_struct(column.type):
        return sum(map(_weight, column.flatten()))
    if pa.types.is_map(column.type):
        return _weight(column.keys) + _weight(column.items)
    if pa.types.is_nested(column.type):
        return _weight(column.flatten())
    return int(column.nbytes)


def _rows(table: Any) -> list[dict[str, Any] | str]:
    try:
        rows: list[dict[str, Any] | str] = table.to_pylist()
    except _UNREADABLE:  # a single value can cause this
        rows = [_row(table, i) for i in range(table.num_rows)]
    return rows


def _row(table: Any, number: int) -> dict[str, Any] | str:
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            found[name] = column[number].as_py()
        except UnicodeDecodeError as error:
            return f"'{excerpt(name)}' is not UTF-8 (byte 0x{error.object[error.start]:02x})"
        except _UNREADABLE as error:
            return f"'{excerpt(name)}' can't be read ({excerpt(error, LONG)})"
    return found
