"""The elements of an array in a JSON document, as a stream of records: a document of any size in little memory.

The text is cut at the commas of the array by looking at quotes, backslashes and brackets only; each element is parsed
for itself afterwards, so that one broken element is refused and the others are read. A document whose brackets do not
match is refused as a whole.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from userops.errors import SourceFileError
from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import MAX_RECORD_BYTES, mapped, shown
from userops.ingest.readers.lines import SCHEMA, RecordStream, first_records, integer_array, odd_batch, text_array
from userops.ingest.sources import FormatSpec

_CHUNK = 1 << 20
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
_STEP = re.compile(r'\.(?:"([^"]+)"|(\w+))|\[(\d+)\]')
_QUOTE, _BACKSLASH, _COMMA, _LINE_FEED, _BLANK = 34, 92, 44, 10, 32
_CLOSING_BRACKET = 93
#: By byte: how a bracket changes the depth; and which bytes are brackets or commas.
_DEPTH = np.zeros(256, dtype=np.int8)
_DEPTH[list(b"{[")] = 1
_DEPTH[list(b"}]")] = -1
_SIGN = (_DEPTH != 0) | (np.arange(256) == _COMMA)


def element_stream(file: LandingFile, probe: Probe, spec: FormatSpec) -> RecordStream:
    """Return the elements of the array at `records` (default: the document itself) as records.

    Raises:
        SourceFileError: while the stream is read: there is no array, the document is cut short, or more follows it.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        text = mapped(probe.readable)
        begin = 3 if text[:3] == b"\xef\xbb\xbf" else 0
        start, depth = _find_array(file, text, begin, spec.records)
        elements = _elements(file, text, start, depth)
        yield from (elements if probe.limit is None else first_records(elements, probe.limit))

    return RecordStream(batches, probe.scratch)


def _find_array(file: LandingFile, text: mmap.mmap, begin: int, path: str | None) -> tuple[int, int]:
    """Return where the array's `[` is, and how many brackets are open before it."""
    steps = [int(step[3]) if step[3] else step[1] or step[2] for step in _STEP.finditer(path or "$")]
    tokens = _TOKEN.finditer(text, begin)
    token = next(tokens, None)
    for level, step in enumerate(steps):
        opening = token.group() if token else b""
        if opening != (b"[" if isinstance(step, int) else b"{"):
            raise _no_array(file, path, steps[:level], opening)
        token = _enter(tokens, step)
    opening = token.group() if token else b""
    if token is None or opening != b"[":
        raise _no_array(file, path, steps, opening)
    return token.start(), len(steps)


def _enter(tokens: Iterator[re.Match[bytes]], step: str | int) -> re.Match[bytes] | None:
    """Move on, within the container just opened, to the value of a key or at an index."""
    depth, index, key = 0, 0, b""
    at_value = isinstance(step, int) and step == 0
    for token in tokens:
        sign = token.group()
        if depth == 0 and at_value:
            return None if sign in b"]}" else token
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                return None
        elif depth == 0 and sign == b",":
            index += 1
            at_value = index == step
        elif depth == 0 and sign == b":":
            at_value = isinstance(step, str) and _text_of(key) == step
        elif depth == 0:
            key = sign
    return None


def _text_of(key: bytes) -> str:
    try:
        return str(json.loads(key))
    except ValueError:
        return shown(key)


def _no_array(file: LandingFile, path: str | None, reached: list[str | int], opening: bytes) -> SourceFileError:
    kinds = {b"{": "an object", b"[": "an array", b"": "nothing"}
    place = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reached)
    return SourceFileError(
        file.relative,
        f"{kinds.get(opening, 'a value')} at {place}",
        f"an array of records at {path}" if path else "a document that is an array of records",
        "set `format.records` to the JSON path of the array, such as $.data; of one object per line, use type jsonl",
    )


class _Scanner:
    """Finds brackets and commas outside strings, chunk by chunk. `depth` is the number of brackets open."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.in_string = False
        self._escaped = False

    def feed(self, chunk: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return positions of brackets and commas in the chunk, their bytes, and the depth after each."""
        buffer = np.frombuffer(chunk, dtype=np.uint8)
        quotes = self._quotes(chunk, buffer)
        positions = np.flatnonzero(_SIGN[buffer])
        inside = (np.searchsorted(quotes, positions) + self.in_string) & 1
        positions = positions[inside == 0]
        signs = buffer[positions]
        depths = self.depth + np.cumsum(_DEPTH[signs], dtype=np.int64)
        self.in_string ^= bool(len(quotes) & 1)
        self.depth = int(depths[-1]) if len(depths) else self.depth
        return positions, signs, depths

    def _quotes(self, chunk: bytes, buffer: np.ndarray) -> np.ndarray:
        quotes = np.flatnonzero(buffer == _QUOTE)
        if self._escaped and len(quotes) and quotes[0] == 0:
            quotes = quotes[1:]
        if b"\\" not in chunk:
            self._escaped = False
            return quotes
        slashes = np.flatnonzero(buffer == _BACKSLASH)
        if self._escaped and slashes[0] == 0:
            slashes = slashes[1:]
        # Of a run of backslashes every other one escapes what follows it.
        order = np.arange(len(slashes))
        begins = np.concatenate(([True], np.diff(slashes) != 1))[: len(slashes)]
        run_starts = np.maximum.accumulate(np.where(begins, order, 0)) if len(slashes) else order
        escaped = slashes[(order - run_starts) % 2 == 0] + 1
        self._escaped = bool(len(escaped)) and int(escaped[-1]) == len(chunk)
        return quotes[~np.isin(quotes, escaped)]


def _elements(file: LandingFile, text: mmap.mmap, start: int, outer: int) -> Iterator[pa.RecordBatch]:
    """Cut the array whose `[` is at `start`, with `outer` brackets open before it, into its elements."""
    scanner = _Scanner(outer + 1)
    records, line = 0, _line_feeds(text, start + 1)
    parts: list[bytes] = []
    held = dropped = dropped_lines = 0
    for position in range(start + 1, len(text), _CHUNK):
        chunk = text[position : position + _CHUNK]
        positions, signs, depths = scanner.feed(chunk)
        closed = np.flatnonzero(depths <= outer)[:1]
        inner = positions[: closed[0]] if len(closed) else positions
        cuts = inner[(signs[: len(inner)] == _COMMA) & (depths[: len(inner)] == outer + 1)]
        if len(closed):
            cuts = np.append(cuts, positions[closed[0]])
        if len(cuts):
            body = bytearray().join([*parts, chunk[: cuts[-1] + 1]])
            batch = _batch(body, cuts + held, records, line, dropped, is_last=bool(len(closed)))
            records += batch.num_rows
            line += body.count(b"\n") + dropped_lines
            parts, held, dropped, dropped_lines = [], 0, 0, 0
            if batch.num_rows:
                yield batch
        if len(closed):
            end = int(positions[closed[0]])
            if signs[closed[0]] != _CLOSING_BRACKET:
                raise _broken(file, f"a bracket that does not match, at byte {position + end + 1}")
            _check_rest(file, text, position + end + 1, outer)
            return
        rest = chunk[cuts[-1] + 1 :] if len(cuts) else chunk
        if held > MAX_RECORD_BYTES:
            dropped += len(rest)
            dropped_lines += rest.count(b"\n")
        else:
            parts.append(rest)
            held += len(rest)
    raise _broken(file, "a JSON document that is cut short")


def _batch(body: bytearray, cuts: np.ndarray, records: int, lines: int, dropped: int, is_last: bool) -> pa.RecordBatch:
    """Return the elements before each cut (a comma, or the closing bracket) as a batch."""
    buffer = np.frombuffer(body, dtype=np.uint8)
    buffer[cuts] = _BLANK
    ends = cuts + 1
    starts = np.concatenate(([0], ends[:-1]))
    if is_last and not body[starts[-1] :].strip():
        starts, ends = (starts[:-1], ends[:-1])  # an empty array, or a comma behind the last element
    solid = np.append(np.flatnonzero(buffer > _BLANK), len(body))
    line_feeds = np.flatnonzero(buffer == _LINE_FEED)
    line_of = lines + 1 + np.searchsorted(line_feeds, solid[np.searchsorted(solid, starts)])
    count = len(ends)
    if count and not dropped and b"\0" not in body and int((ends - starts).max()) <= MAX_RECORD_BYTES:
        values = text_array(body, ends)
        if values is not None:
            numbers = np.arange(records + 1, records + 1 + count)
            columns = [integer_array(numbers), integer_array(line_of), values, pa.nulls(count, pa.string())]
            return pa.record_batch(columns, schema=SCHEMA)
    spans = zip(line_of.tolist(), starts.tolist(), ends.tolist(), strict=True)
    return odd_batch([(line, bytes(body[start:end]).strip()) for line, start, end in spans], records, dropped)


def _check_rest(file: LandingFile, text: mmap.mmap, position: int, outer: int) -> None:
    """The brackets around the array must close, and nothing may follow them."""
    scanner = _Scanner(outer)
    for at in range(position, len(text), _CHUNK):
        chunk = text[at : at + _CHUNK]
        if scanner.depth == 0:
            tail = chunk
        else:
            positions, _, depths = scanner.feed(chunk)
            done = np.flatnonzero(depths == 0)[:1]
            if not len(done):
                continue
            tail = chunk[int(positions[done[0]]) + 1 :]
            scanner = _Scanner(0)
        if tail.strip():
            raise _broken(file, "more text behind the end of the JSON document")
    if scanner.depth or scanner.in_string:
        raise _broken(file, "a JSON document that is cut short")


def _line_feeds(text: mmap.mmap, end: int) -> int:
    return sum(text[at : min(at + _CHUNK, end)].count(b"\n") for at in range(0, end, _CHUNK))


def _broken(file: LandingFile, found: str) -> SourceFileError:
    return SourceFileError(
        file.relative,
        found,
        "one complete JSON document",
        "export or copy the file again; of several documents, one per line, use type jsonl; nothing of it was taken",
    )
