"""Every case that promtool runs."""

from collections.abc import Iterable
from functools import cache

from tests.alert_rules import edges, node_edges
from tests.alert_rules.other_daemons import DISAGREEING, FAILOVERS, beside, lagging
from tests.alert_rules.promtool import ALERTS, Case
from tests.alert_rules.stories import STORIES, Series, Story, then
from tools.alert_rules.inhibitions import INHIBITIONS
from tools.alert_rules.model import Inhibition, seconds

ENDLESS = 10**6


@cache
def all_cases() -> tuple[Case, ...]:
    alone = (
        *(case for story in STORIES for case in _timing(story)),
        *(case for story in STORIES for case in _freezing(story)),
        *edges.CASES,
        *node_edges.CASES,
    )
    return (
        *alone,
        *DISAGREEING,
        *FAILOVERS,
        *(other for case in alone for other in beside(case)),
        *(other for story in STORIES for case in _timing(story) for other in lagging(case)),
    )


def cases_of(alert: str) -> tuple[Case, ...]:
    return tuple(case for case in all_cases() if case.alert == alert)


def _steps(duration: str, story: Story) -> int:
    return round(seconds(duration) / 60 / story.minutes)


def _fires_at(story: Story) -> int:
    return story.onset + _steps(ALERTS[story.alert].for_, story)


def _timing(story: Story) -> Iterable[Case]:
    """Yield the cases that it fires after its wait and resolves in time, beside others."""
    alert = ALERTS[story.alert]
    first = _fires_at(story)
    before = tuple(step for step in (first - 1,) if step >= 0)
    yield Case(
        story.alert,
        "fires after the wait, and not before",
        (*story.series, *_bystanders(story, first + 2)),
        {first: [story.labels], first + 1: [story.labels]},
        before,
        minutes=story.minutes,
        samples=story.samples,
    )
    if story.tail >= ENDLESS:
        return
    ends = first + 2
    lasts = ends + story.tail + _steps(alert.keep_firing_for, story)
    if all(series.values(99) == series.values(98) for series in story.series):
        return  # an edge case has its end
    yield Case(
        story.alert,
        "keeps firing for its time, and no longer",
        (*story.series, *_bystanders(story, lasts + 2)),
        {lasts - 1: [story.labels]},
        (lasts + 1,),
        ends=ends,
        minutes=story.minutes,
        samples=story.samples,
    )


def _bystanders(story: Story, steps: int) -> Iterable[Series]:
    """Yield alerts of the same object that change nothing: another one, and pending ones."""
    values = f"1x{steps * story.samples}"
    labels = "".join(f',{name}="{value}"' for name, value in story.labels.items())
    yield then(f'ALERTS{{alertname="Unrelated",alertstate="firing"{labels}}}', values)
    for rule in INHIBITIONS:
        if story.alert in rule.targets:
            for source in rule.sources:
                yield _alert(source, rule, story, values, alertstate="pending")


def _freezing(story: Story) -> Iterable[Case]:
    """Yield the cases that it neither fires nor resolves while it is muted."""
    for rule in INHIBITIONS:
        if story.alert not in rule.targets:
            continue
        for source in rule.sources:
            yield from _frozen_by(story, rule, source)


def _frozen_by(story: Story, rule: Inhibition, source: str) -> Iterable[Case]:
    first = _fires_at(story)
    linger = _steps(ALERTS[story.alert].keep_firing_for, story)
    yield Case(
        story.alert,
        f"does not fire while {source} mutes it",
        (*story.series, _alert(source, rule, story, "1x400"), *_bystanders(story, first + 6)),
        silent=(first, first + 5),
        minutes=story.minutes,
    )
    yield Case(
        story.alert,
        f"is not muted by {source} of another object",
        (*story.series, _alert(source, rule, story, "1x400", other="other")),
        {first: [story.labels]},
        minutes=story.minutes,
    )
    if first > story.onset:
        yield Case(
            story.alert,
            f"does not fire if {source} mutes it while it is pending",
            (*story.series, _alert(source, rule, story, f"_x{first} 1x400")),
            silent=(first, first + 5),
            minutes=story.minutes,
        )
    ends = first + 3
    released = ends + story.tail + linger + 6
    muted = f"_x{first + 1} 1x{released - first - 2} stale"
    yield Case(
        story.alert,
        f"does not resolve while {source} mutes it, but after",
        (*story.series, _alert(source, rule, story, muted)),
        {
            released - 1: [story.labels],
            released - 1 + linger: [story.labels],
        },
        (released + linger + 1,),
        ends=ends,
        minutes=story.minutes,
    )


def _alert(
    source: str,
    rule: Inhibition,
    story: Story,
    values: str,
    *,
    other: str = "",
    alertstate: str = "firing",
) -> Series:
    labels = {name: other or story.labels[name] for name in rule.equal}
    text = "".join(f',{name}="{value}"' for name, value in labels.items())
    return then(f'ALERTS{{alertname="{source}",alertstate="{alertstate}"{text}}}', values)
