"""The report: one HTML file that shows a run to a person and needs nothing from outside."""

from infraspectre.report.card import render_card
from infraspectre.report.render import render
from infraspectre.report.statistics import FlowStatistics

__all__ = ["FlowStatistics", "render", "render_card"]
