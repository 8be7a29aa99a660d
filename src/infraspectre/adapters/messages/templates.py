"""Templates of messages: Jinja, cut down until whatever is written in it ends soon and reads nothing but the message.

What a template makes is text and nothing else: each medium carries it in a part that it does not parse, so that no
value can become a link, a mention, a format or a tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from infraspectre.adapters.messages.digest import Digest, Entry
from infraspectre.errors import InputError

MOST_TEMPLATE = 8_192
MOST_BODY = 6_000
"""Signs of a message: Teams takes 28 KiB, Slack more."""
LOOPS = 2
"""Loops within each other: over entries, and over what each of them holds."""
MOST_FILTERS = 3
"""Filters one after another; joining what was joined makes a text longer each time."""
MOST_CONSTANT = 100
"""Signs of a text within an expression."""
MOST_DIGITS = 6
"""Digits to which numbers are rounded."""
FILTERS = frozenset(
    {"upper", "lower", "capitalize", "title", "join", "length", "default", "round", "first", "last", "trim"}
)
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Const, nodes.If, nodes.For,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter,
)  # fmt: skip
"""All that a template may be made of: nothing that calls, computes or includes."""
DEFAULT = """\
{% for each in entries %}
{{ each.severity | upper }}: {{ each.title }}{% if each.incidents > 1 %} ({{ each.incidents }} incidents){% endif %}

{{ each.summary }}
{{ each.hosts | join(", ") }}{% if each.techniques %} | {{ each.techniques | join(", ") }}{% endif %}

score {{ each.score }} | {{ each.at }} | {{ each.kind }} {{ each.id }}

{% endfor %}
{% if more %}
and {{ more }} more
{% endif %}
"""


def joined(values: Any, between: Any = "") -> str:
    """Join a list; raises TypeError for a text, as joining its signs again and again grows without bound."""
    if not isinstance(values, list):
        raise TypeError("join takes a list")
    return str(between).join(map(str, values))


def rounded(value: Any, digits: Any = 0) -> float:
    """Round a number; raises ValueError for digits that would take long to compute."""
    if digits not in range(MOST_DIGITS + 1):
        raise ValueError(f"round takes 0 to {MOST_DIGITS} digits")
    return round(float(value), int(digits))


SAMPLE = Digest([Entry("1", "title", "summary", "high", 90.0, ["10.0.0.1"], ["T1046"], "now", "kind", "tenant", 2)], 1)


class MessageTemplate:
    """Writes the text of a message."""

    def __init__(self, text: str = "") -> None:
        """Compile a template, the default one for an empty text; raises InputError with its line."""
        if len(text) > MOST_TEMPLATE:
            raise InputError(f"has more than {MOST_TEMPLATE:,} signs", field="template")
        language = ImmutableSandboxedEnvironment(trim_blocks=True, autoescape=False)
        language.globals.clear()
        language.filters |= {"join": joined, "round": rounded}
        try:
            for problem, line in flaws(language.parse(text or DEFAULT)):
                raise InputError(problem, field="template", line=line)
            self._template = language.from_string(text or DEFAULT)
        except TemplateError as error:
            raise InputError(
                error.message or "is no template", field="template", line=getattr(error, "lineno", None)
            ) from error
        except (RecursionError, SyntaxError, MemoryError) as error:  # as the parsers of Jinja and of Python say it
            raise InputError("is nested too deeply", field="template") from error
        except ValueError as error:
            raise InputError("holds a number that is none, or is too long", field="template") from error
        self.text(SAMPLE)

    def text(self, digest: Digest) -> str:
        """Return the text of a message, of bounded length; raises InputError for a template that cannot be filled."""
        written = ""
        try:
            for part in self._template.generate(entries=digest.entries, more=digest.more):
                written += part
                if len(written) > MOST_BODY:
                    return written[:MOST_BODY] + " ..."
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise InputError(f"cannot be filled: {error}", field="template") from error
        return written.strip("\n")


def flaws(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Yield what a template may not hold, and where."""
    for each in tree.find_all(nodes.Node):
        if not isinstance(each, NODES):
            yield f"holds {type(each).__name__.lower()}, which templates of messages may not", each.lineno
        elif problem := flaw(each):
            yield problem, each.lineno


def flaw(node: nodes.Node) -> str:
    """Return what is wrong with a part of a template that it may have; empty for nothing."""
    match node:
        case nodes.Filter() if node.name not in FILTERS:
            return f"uses the filter {node.name}; there are {', '.join(sorted(FILTERS))}"
        case nodes.Filter() if depth(node, nodes.Filter) > MOST_FILTERS:
            return f"has more than {MOST_FILTERS} filters one after another"
        case nodes.For() if depth(node, nodes.For) > LOOPS:
            return f"has more than {LOOPS} loops within each other"
        case nodes.For() if node.recursive or not isinstance(node.iter, nodes.Name | nodes.Getattr):
            return "has a loop over something that is no list of the message"
        case nodes.Const(value=str(text)) if len(text) > MOST_CONSTANT:
            return f"has a text of more than {MOST_CONSTANT} signs in an expression"
    return ""


def depth(node: nodes.Node, kind: type[nodes.Node]) -> int:
    """Return how many parts of a kind there are within each other from one on."""
    return isinstance(node, kind) + max((depth(each, kind) for each in node.iter_child_nodes()), default=0)
