"""The report card as HTML: the same card gives the same page, and no text from outside acts in it."""

from __future__ import annotations

import re

import polars as pl

from infraspectre.learning.report_card import Subject, report_card
from infraspectre.records.models import DataFile, Threshold
from infraspectre.report.card import html
from model_fakes import Line, rows

ATTACK = "<script>alert(1)</script>"


def page(frame: pl.DataFrame) -> str:
    subject = Subject("line", "0" * 64, "kind", "benign", [DataFile(f"{ATTACK}.csv", "0" * 64, len(frame))])
    return html(report_card(frame, Line().judge(frame), subject, [Threshold(0.01, 0.9)]))


def test_the_page_is_the_same_each_time_and_needs_nothing_from_outside() -> None:
    text = page(rows(300))
    assert text == page(rows(300))
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "NaN" not in text.replace("isNaN", "")
    assert text.count("<svg") == 5


def test_what_labels_say_is_shown_and_not_done() -> None:
    text = page(rows(300).with_columns(kind=pl.col("kind").replace("attack", ATTACK)))
    assert ATTACK not in text
    assert "&lt;script&gt;alert(1)" in text
