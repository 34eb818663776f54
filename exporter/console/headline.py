"""The worst truth of all systems in one sentence, and what else is wrong in one sentence each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import NamedTuple

from exporter.console import links
from exporter.console.problems import CONDITION_OF, Kind, Problem, urgency, worst_tone
from exporter.console.tones import OK, PENDING
from exporter.formatting import counted

TEXTS: Mapping[Kind, tuple[str, str]] = {
    Kind.DOWN: (
        "VM {name} down unexpectedly in {where}",
        "{count} VMs down unexpectedly in {where}",
    ),
    Kind.TROUBLE: ("VM {name} in trouble in {where}", "{count} VMs in trouble in {where}"),
    Kind.REFUSED: ("Credentials refused by {where}",) * 2,
    Kind.UNREACHABLE: ("{where} unreachable",) * 2,
    Kind.STALE: ("Data of {where} stale",) * 2,
    Kind.FROZEN: ("Status of VMs frozen in {where}",) * 2,
    Kind.UNNAMED: ("Name of {where} unknown",) * 2,
    Kind.RECOVERY: ("Recovery not ready in {where}: {detail}",) * 2,
    Kind.DOCTOR: (
        "1 critical finding of the doctor in {where}",
        "{count} critical findings of the doctor in {where}",
    ),
    Kind.QUESTIONS: ("1 question waiting in {where}", "{count} questions waiting in {where}"),
    Kind.UNKNOWN: (
        "VM {name} without a readable status in {where}",
        "{count} VMs without a readable status in {where}",
    ),
    Kind.WAITING: ("Waiting for the first poll of {where}",) * 2,
}
"""For one VM, finding or question, and for several."""


class Part(NamedTuple):
    """A part of a sentence."""

    text: str
    is_name: bool = False
    """Whether it is the name of a VM or system, which may be written in any direction."""


class Sentence(NamedTuple):
    """What is wrong, in all systems that it is wrong in."""

    parts: tuple[Part, ...]
    tone: str
    href: str
    """Of what the sentence counts."""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


class Headline(NamedTuple):
    """The first line of the overview."""

    worst: Sentence
    others: tuple[Sentence, ...]
    """What else is wrong, the worst first."""
    tone: str
    """The worst of all."""


def headline(systems: int, vms: int, problems: Iterable[Problem]) -> Headline:
    """
    Return the first line.

    Args:
        systems: How many there are.
        vms: How many VMs they have.
        problems: What is wrong with them.

    """
    by_kind: dict[Kind, list[Problem]] = defaultdict(list)
    for problem in sorted(problems, key=urgency):
        by_kind[problem.kind].append(problem)
    sentences = tuple(_sentence(kind, found) for kind, found in by_kind.items())
    if not sentences:
        return Headline(_calm(systems, vms), (), OK if systems else PENDING)
    return Headline(sentences[0], sentences[1:], worst_tone(one.tone for one in sentences))


def _calm(systems: int, vms: int) -> Sentence:
    if not systems:
        return Sentence((Part("No system is monitored yet"),), PENDING, links.DATA)
    text = f"All is well: {counted(systems, 'system')} up, {counted(vms, 'VM')}"
    return Sentence((Part(text),), OK, links.vms())


def _sentence(kind: Kind, problems: Sequence[Problem]) -> Sentence:
    """Return the sentence of problems of one kind, the most urgent of them first."""
    first, number = problems[0], sum(one.number for one in problems)
    single, several = TEXTS[kind]
    is_one = len(problems) == 1
    values = {
        "name": Part(first.name, is_name=True),
        "count": Part(f"{number:,}"),
        "where": Part(first.system, is_name=True)
        if is_one
        else Part(counted(len(problems), "system")),
        "detail": Part(first.detail),
    }
    parts: list[Part] = []
    for text, name, _, _ in Formatter().parse(single if number == 1 else several):
        parts += [Part(text)] * bool(text) + ([values[name]] if name else [])
    is_listed = not is_one and kind in CONDITION_OF
    href = links.vms(condition=CONDITION_OF[kind]) if is_listed else first.href
    return Sentence(tuple(parts), worst_tone(one.tone for one in problems), href)
