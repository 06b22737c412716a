"""Notes about sources: what is told once, and what must never be told."""

from __future__ import annotations

from datetime import date

from userops.ingest.ledger import SourceNote
from userops.ingest.notes import NoteBook

DAY = date(2026, 1, 31)


def test_personal_data_that_an_engine_quoted_is_masked():
    book = NoteBook(DAY, [])
    quoted = "cannot read 'someone@example.invalid' or 13800138000 in events_20260131.csv"
    book.add("shop", "failed_file", "error", quoted)
    (note,) = book.with_earlier(set(), partial=False)
    assert "someone" not in note.message
    assert "13800138000" not in note.message
    assert "events_20260131.csv" in note.message


def test_what_was_told_on_another_date_is_not_told_again_even_if_it_was_masked():
    told = "column of 13800138000 is new"
    first = NoteBook(DAY, [])
    first.add_once("shop", "new_column", "warning", told)
    earlier = first.with_earlier(set(), partial=False)
    second = NoteBook(date(2026, 2, 1), earlier)
    second.add_once("shop", "new_column", "warning", told)
    assert second.with_earlier(set(), partial=False) == []


def test_notes_about_files_that_were_not_looked_at_again_stay():
    kept = SourceNote(DAY, "shop", "ingest", "held", "error", "12 of 40 rows", "shop/a.csv")
    gone = SourceNote(DAY, "shop", "ingest", "held", "error", "3 of 9 rows", "shop/b.csv")
    book = NoteBook(DAY, [kept, gone])
    assert book.with_earlier({("shop", "shop/b.csv")}, partial=False) == [kept]
