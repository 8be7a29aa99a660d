"""The report card as HTML: the same card gives the same page, and no text from outside acts in it."""

from __future__ import annotations

import re

import msgspec
import polars as pl

from infraspectre.learning.deciding import Deciding
from infraspectre.learning.report_card import Subject, report_card
from infraspectre.records.models import DataFile, Threshold
from infraspectre.report.card import MOST_WEIGHTS, WEIGHT_WIDTH, html, weights
from model_fakes import Line, rows

ATTACK = "<script>alert(1)</script>"


def page(frame: pl.DataFrame) -> str:
    subject = Subject("line", "0" * 64, "kind", "benign", [DataFile(f"{ATTACK}.csv", "0" * 64, len(frame))])
    return html(report_card(frame, Line().judge(frame), subject, [Threshold(0.01, 0.9)]))


def test_the_most_important_columns_are_drawn_and_no_others() -> None:
    frame = rows(300)
    card = msgspec.structs.replace(
        report_card(frame, Line().judge(frame), Subject("line", "", "kind", "benign", []), []),
        deciding=[Deciding(f"<b>{at}", 3.0 / 2**at, 1.0 / 2**at, 2.0, None) for at in range(30)]
        + [Deciding("nil", 0, 0, 0, 0)],
    )
    drawn = weights(card.deciding)
    assert len(drawn) == MOST_WEIGHTS
    assert (drawn[0].width, drawn[1].width) == (WEIGHT_WIDTH, WEIGHT_WIDTH / 2)
    assert drawn[0].unusual == round(WEIGHT_WIDTH / 3, 1)
    text = html(card)
    assert "What decides" in text
    assert "<b>0" not in text
    assert "+2.000 where hostile; 33.3% for being unusual" in text
    assert "What decides" not in html(msgspec.structs.replace(card, deciding=[]))


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
