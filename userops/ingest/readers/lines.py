"""Text as an Arrow stream of numbered records, one per line, so that DuckDB reads it without a copy on disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from userops.ingest.decode import (
    MIN_FREE_BYTES,
    LandingFile,
    Probe,
    has_blank_before,
    has_wide_blank,
    text_blocks,
    without_lines,
)
from userops.ingest.readers.common import LINE, MAX_RECORD_BYTES, ODD, PADDED, RECORD, shown

#: Columns of a stream beside RECORD and LINE: the record as text, and why it cannot be one, or null.
TEXT, FAULT = "__userops_text", "__userops_fault"

SCHEMA = pa.schema([(RECORD, pa.int64()), (LINE, pa.int64()), (TEXT, pa.string()), (FAULT, pa.string())])
#: Of the batches that DuckDB gets: ODD and PADDED are the same for a whole batch.
_STREAM_SCHEMA = SCHEMA.append(pa.field(ODD, pa.bool_())).append(pa.field(PADDED, pa.bool_()))

#: Text of one batch. DuckDB appends each batch to a table by itself and copies small ones again to join them.
_BATCH_BYTES = 1 << 22
#: Of the first one, which is often all that somebody looks at.
_FIRST_BATCH_BYTES = 1 << 19
_LINE_FEED, _BLANK, _MARK = 10, 32, 0xEF
_UTF8_MARK = b"\xef\xbb\xbf"
#: Escapes of control characters and wide blanks; JSON has no control character in a text but by these.
_ODD_ESCAPE = re.compile(rb"\\(?:[bfnrt]|u(?:00[01aA]|3000))")
_BLANK_ESCAPE = rb"\u0020"


class RecordStream:
    """Batches of records that DuckDB can scan as often as it likes.

    The first whole scan leaves the batches in a scratch file; later ones take them from there, which is several times
    cheaper than unpacking and cutting the text again. Where the disk has no room, every scan reads the file anew.

    Their columns ODD and PADDED tell of a JSON text what its values may have in them.

    Attributes:
        spare: how many scans come before the one that leaves a scratch file.
        passed: records of the last scan.
        failure: the error that ended the last scan, if any; DuckDB only passes its text on.
    """

    def __init__(self, batches: Callable[[], Iterator[pa.RecordBatch]], scratch: Path, spare: int = 0) -> None:
        self._batches = batches
        self._path = scratch
        self._scratch = scratch.with_name(f"{scratch.name}.arrow")
        self._kept = self._keeping = False
        self.spare = spare
        self.passed = 0
        self.failure: Exception | None = None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(_STREAM_SCHEMA, self._watched())
        return reader.__arrow_c_stream__(requested_schema)

    def beginning(self, records: int, scans: int) -> RecordStream:
        """Return a stream of the first records only, to be scanned so many times."""
        return RecordStream(lambda: first_records(self._batches(), records), self._path, spare=scans)

    def _watched(self) -> Iterator[pa.RecordBatch]:
        self.passed = 0
        try:
            for batch in self._scanned():
                self.passed += batch.num_rows
                yield batch
        except Exception as error:
            self.failure = error
            raise

    def _scanned(self) -> Iterator[pa.RecordBatch]:
        if self._kept:
            return self._from_scratch()
        whole = map(_with_signs, self._batches())
        if self.spare or self._keeping:  # the latter: a second scan within one query
            self.spare = max(0, self.spare - 1)
            return whole
        return self._keep(whole)

    def _keep(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self._keeping = True
        try:
            with pa.OSFile(str(self._scratch), "wb") as out, pa.ipc.new_file(out, _STREAM_SCHEMA) as writer:
                room = True
                for batch in batches:
                    room = room and _has_room(self._scratch, batch.nbytes)
                    if room:
                        writer.write_batch(batch)
                    yield batch
            self._kept = room
        finally:
            self._keeping = False

    def _from_scratch(self) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(self._scratch)) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)

    def register(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Make the stream a view of that name."""
        connection.register(name, self)


def line_stream(file: LandingFile, probe: Probe, skip_lines: int = 0) -> RecordStream:
    """Return the lines of a text file as records; blank lines are none.

    Of a line with bytes that are no text, with a NUL byte or beyond MAX_RECORD_BYTES, TEXT is what can be shown of it
    and FAULT says what is wrong.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        blocks = without_lines(text_blocks(file, probe.text), skip_lines)
        numbered = _numbered(blocks, skip_lines)
        return numbered if probe.limit is None else first_records(numbered, probe.limit)

    return RecordStream(batches, probe.scratch)


def _with_signs(batch: pa.RecordBatch) -> pa.RecordBatch:
    buffer = batch.column(TEXT).buffers()[2]
    text = b"" if buffer is None else buffer.to_pybytes()
    escapes = b"\\" in text
    odd = (escapes and _ODD_ESCAPE.search(text) is not None) or has_wide_blank(text)
    padded = (escapes and _BLANK_ESCAPE in text) or has_blank_before(text, b'"')
    columns = [*batch.columns, _repeated(odd, batch.num_rows), _repeated(padded, batch.num_rows)]
    return pa.record_batch(columns, schema=_STREAM_SCHEMA)


def _repeated(flag: bool, rows: int) -> pa.BooleanArray:
    bits = pa.py_buffer((b"\xff" if flag else b"\0") * -(-rows // 8))
    return pa.BooleanArray.from_buffers(pa.bool_(), rows, [None, bits])


def _has_room(scratch: Path, size: int) -> bool:
    return shutil.disk_usage(scratch.parent).free - size > MIN_FREE_BYTES


def first_records(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """Yield the first `limit` records."""
    for batch in batches:
        if limit <= 0:
            return
        yield batch.slice(0, limit)
        limit -= batch.num_rows


def _numbered(blocks: Iterator[bytes], line: int) -> Iterator[pa.RecordBatch]:
    """Cut blocks at line ends. Of a line that exceeds the limit only the beginning is held in memory."""
    record = 0
    parts: list[bytes] = []
    held = unfinished = dropped = 0
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end and unfinished > MAX_RECORD_BYTES:
            dropped += len(block)
            continue
        parts.append(block)
        held += len(block)
        unfinished = len(block) - end if end else unfinished + len(block)
        wanted = _BATCH_BYTES if record else _FIRST_BATCH_BYTES
        if unfinished == held or (held < wanted and unfinished <= MAX_RECORD_BYTES):
            continue
        text = b"".join(parts)
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_FEED) + 1
        batch = line_batch(text, ends, record, line, dropped)
        record += batch.num_rows
        line += len(ends)
        yield batch
        parts, held, dropped = [text[ends[-1] :]], unfinished, 0
    if held:
        text = b"".join(parts)
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_FEED) + 1
        yield line_batch(text, ends if text.endswith(b"\n") else np.append(ends, held), record, line, dropped)


def line_batch(text: bytes, ends: np.ndarray, records: int, lines: int, dropped: int = 0) -> pa.RecordBatch:
    """Return the lines that end at `ends` as a batch; what stands behind the last of them is left out.

    Args:
        records, lines: how many came before.
        dropped: bytes of the first line that were not kept.
    """
    starts = np.concatenate(([0], ends[:-1]))
    if not dropped and _all_plain(text, starts, ends):
        values = text_array(text, ends)
        if values is not None:
            count = len(ends)
            numbers = np.arange(1, count + 1)
            columns = [integer_array(records + numbers), integer_array(lines + numbers), values]
            return pa.record_batch([*columns, pa.nulls(count, pa.string())], schema=SCHEMA)
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    pieces = (text[start:end].rstrip(b"\r\n").removeprefix(_UTF8_MARK) for start, end in spans)
    kept = [(lines + number, piece) for number, piece in enumerate(pieces, start=1) if piece.strip()]
    return odd_batch(kept, records, dropped if kept and kept[0][0] == lines + 1 else 0)


def integer_array(values: np.ndarray) -> pa.Int64Array:
    """Return integers as an Arrow array. `pa.array` would load pandas, to ask whether they are a series of it."""
    return pa.Int64Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values.astype(np.int64))])


def text_array(text: bytes | bytearray, ends: np.ndarray) -> pa.StringArray | None:
    """Return the pieces of `text` that end at `ends` as one Arrow array, without copying; None if it is not UTF-8."""
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    values = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return values


def odd_batch(pieces: list[tuple[int, bytes]], records: int, dropped: int = 0) -> pa.RecordBatch:
    """Return (line, bytes) pairs as a batch, looking at each one: the slow way, for batches with something odd."""
    texts, faults = [], []
    for position, (_, piece) in enumerate(pieces):
        fault = fault_of(piece, dropped if position == 0 else 0)
        texts.append(shown(piece) if fault else piece.decode("utf-8"))
        faults.append(fault)
    numbers = np.arange(records + 1, records + 1 + len(pieces))
    lines = pa.array([line for line, _ in pieces], pa.int64())
    return pa.record_batch(
        [pa.array(numbers), lines, pa.array(texts, pa.string()), pa.array(faults, pa.string())], schema=SCHEMA
    )


def fault_of(piece: bytes, dropped: int = 0) -> str | None:
    """Return what makes these bytes no text of a record, or None."""
    if len(piece) + dropped > MAX_RECORD_BYTES:
        return f"{len(piece) + dropped} bytes in one record; the first {MAX_RECORD_BYTES} are kept"
    if b"\0" in piece:
        return "a NUL byte (text in UTF-16 has many: then `encoding` is wrong)"
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes that are no text in the file's encoding"
    return None


def _all_plain(text: bytes, starts: np.ndarray, ends: np.ndarray) -> bool:
    if b"\0" in text or int((ends - starts).max()) > MAX_RECORD_BYTES:
        return False
    firsts = np.frombuffer(text, np.uint8)[starts]
    if (firsts == _MARK).any() and (text.startswith(_UTF8_MARK) or b"\n" + _UTF8_MARK in text):
        return False
    indented = np.flatnonzero(firsts <= _BLANK)
    return all(text[starts[row] : ends[row]].strip() for row in indented.tolist())
