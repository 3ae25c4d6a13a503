"""From wrong numbers to the mistake: places are compared in order, and at the first that disagrees every known mistake
is planted into the textbook, to see which of them makes the same numbers.

A planted mistake changes what follows it, too. So a place that is wrong only because an earlier one is wrong agrees as
soon as the earlier mistake is planted, and is never accused.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manual_mlp.diagnosis.comparison import Comparison, Planted, distance
from manual_mlp.diagnosis.differences import described
from manual_mlp.diagnosis.mistakes.mistake import Mistake
from manual_mlp.diagnosis.report import Finding

MOST_FINDINGS = 6
MOST_PAIRS = 3000  # a second or two
MOST_NUMBERS = (
    1_000_000  # at a place, for pairs to be looked for: more than in any weights here, less than in a data set
)
MOST_VARIANTS = 100  # of one pair
NEAR = 10  # tolerances: another mistake that is no further off might be meant as well


@np.errstate(all="ignore")
def explain(comparison: Comparison, candidates: Sequence[Planted]) -> tuple[list[Finding], list[str], list[str]]:
    """The findings, first wrong place first; the titles of the places that agree; those that cannot be judged."""
    places, titles = comparison.places, comparison.titles
    planted: list[Planted] = []
    findings: list[Finding] = []
    unexplained: set[str] = set()
    untouched = comparison.residuals([])
    residuals = untouched
    before: tuple[list[Planted], list[Finding]] = [], []  # the last step, from where another way may lead further
    while (first := comparison.first_wrong(residuals, unexplained)) < len(places) and len(findings) < MOST_FINDINGS:
        found = best_of(comparison, planted, candidates, first, unexplained)
        if found:
            before = [*planted], [*findings]
        elif not unexplained and (found := best_pair(comparison, before[0], candidates, first)):
            planted, findings = before
        if found:
            for choice in found.chosen:
                place = places[comparison.first_wrong(comparison.residuals(planted), unexplained)]
                planted.append(choice)
                findings.append(named(comparison, place, choice, planted, found, unexplained))
        elif unexplained or any(plan.forward for plan in planted):
            break  # an earlier place is wrong: what follows may follow from it
        else:
            findings.append(unnamed(comparison, planted, first))
            unexplained |= {place for place in places if titles[place] == titles[places[first]]}
        residuals = comparison.residuals(planted)
    wrong = {finding.place for finding in findings}
    left = [p for p in places if residuals[p] > comparison.tolerance and titles[p] not in wrong]
    disagreeing = {titles[place] for place in places if untouched[place] > comparison.tolerance}
    compared = comparison.compared
    agreeing = [titles[place] for place in places if titles[place] not in disagreeing and place in compared]
    return findings, list(dict.fromkeys(agreeing)), list(dict.fromkeys(titles[place] for place in left))


@dataclass(frozen=True)
class Found:
    """What makes the first wrong place right: one mistake or two; and how the best of all others does."""

    chosen: Sequence[Planted]
    next_residual: float = np.inf
    next_mistake: Mistake | None = None
    equals: Sequence[Mistake] = ()


def best_of(
    comparison: Comparison, planted: list[Planted], candidates: Sequence[Planted], first: int, skipped: set[str]
) -> Found | None:
    """The mistake that makes the first wrong place right, and most of what follows."""
    place = comparison.places[first]
    problem = most_telling(comparison, planted, place)
    right = [p for p in comparison.places[:first] if p not in skipped]
    rejected: dict[Mistake, float] = {}
    fitting: list[tuple[int, Planted]] = []
    for candidate in candidates:
        if place in comparison.forward and not candidate.forward:
            continue
        if any(candidate.lines.keys() & other.lines.keys() and candidate.layers == other.layers for other in planted):
            continue
        trial = [*planted, candidate]
        predicted = comparison.predicted(trial, problem)
        if any(comparison.residual(p, problem, predicted) > comparison.tolerance for p in right):
            continue  # a mistake that makes wrong what is right was not made
        off = comparison.residual(place, problem, predicted)
        if off <= comparison.tolerance:
            residuals = comparison.residuals(trial)
            reach = comparison.first_wrong(residuals, skipped)
            if reach > first and not breaks(comparison, comparison.residuals(planted), reach):
                fitting.append((reach, candidate))
                continue
            off = max(residuals[place] for place in comparison.places[: reach + 1])
        rejected[candidate.mistake] = min(off, rejected.get(candidate.mistake, np.inf))
    if not fitting:
        return None
    reach = max(reach for reach, _ in fitting)
    furthest = [candidate for other, candidate in fitting if other == reach]
    if len({candidate.mistake for candidate in furthest}) > 1:
        explained = [comparison.state([*planted, candidate]) for candidate in furthest]
        furthest = [c for c, much in zip(furthest, explained, strict=True) if much == max(explained)]
    best = min(furthest, key=lambda candidate: len(candidate.lines))  # of equals the first in the catalogue
    equals = dict.fromkeys(c.mistake for c in furthest if c.mistake is not best.mistake)
    near = NEAR * comparison.tolerance
    others = {mistake: off for mistake, off in rejected.items() if mistake is not best.mistake and off <= near}
    following = None if equals else min(others, key=lambda mistake: others[mistake], default=None)
    return Found([best], others[following] if following else np.inf, following, list(equals))


def breaks(comparison: Comparison, before: Mapping[str, float], reach: int) -> bool:
    """Whether the next wrong place is one that was right without this mistake: then the mistake was not made."""
    return reach < len(comparison.places) and before[comparison.places[reach]] <= comparison.tolerance


def most_telling(comparison: Comparison, planted: Sequence[Planted], place: str) -> int:
    """The problem in which this place is most wrong."""
    problems = range(len(comparison.observed))
    return int(np.argmax([comparison.residual(place, k, comparison.predicted(planted, k)) for k in problems]))


def largest(comparison: Comparison, residuals: Mapping[str, float], reach: int, skipped: set[str]) -> float:
    return max((residuals[place] for place in comparison.places[:reach] if place not in skipped), default=0.0)


def best_pair(
    comparison: Comparison, planted: list[Planted], candidates: Sequence[Planted], first: int
) -> Found | None:
    """Two mistakes that only together make the first wrong place right."""
    place = comparison.places[first]
    problem = most_telling(comparison, planted, place)
    seen = [comparison.predicted(planted, problem)[place]]  # what changes nothing here is none of the two
    if np.size(seen[0]) > MOST_NUMBERS:
        return None
    nearly = comparison.tolerance * comparison.scales[problem][place]
    alike: list[list[Planted]] = [[]]  # those with the same numbers here count as one
    before = comparison.residuals(planted)
    right = [place for place in comparison.places[:first] if before[place] <= comparison.tolerance]
    for candidate in candidates:
        if place in comparison.forward and not candidate.forward:
            continue
        predicted = comparison.predicted([*planted, candidate], problem)
        if any(comparison.residual(p, problem, predicted) > comparison.tolerance for p in right):
            continue  # a mistake that makes wrong what is right is not one of the two
        if (after := predicted.get(place)) is None:
            continue
        after = np.asarray(after, dtype=np.float64)
        number = next((k for k, other in enumerate(seen) if distance(after, other, 1.0) <= nearly), len(seen))
        if number == len(seen):
            seen.append(after)
            alike.append([])
        alike[number].append(candidate)
    groups = alike[1:]
    everywhere = [group for group in groups if group[0].layers is None]
    pairs = itertools.chain(itertools.combinations(everywhere, 2), itertools.combinations(groups, 2))
    best: tuple[int, list[Planted]] = (first, [])
    for one, other in itertools.islice(pairs, MOST_PAIRS):
        if at_odds(one[0], other[0]):
            continue
        predicted = comparison.predicted([*planted, one[0], other[0]], problem)
        if comparison.residual(place, problem, predicted) > comparison.tolerance:
            continue
        for variants in itertools.islice(itertools.product(one, other), MOST_VARIANTS):
            if variants[0].mistake.id == variants[1].mistake.id or at_odds(*variants):
                continue
            reach = comparison.first_wrong(comparison.residuals([*planted, *variants]))
            if reach > best[0] and not breaks(comparison, before, reach):
                best = reach, list(variants)
        if best[0] == len(comparison.places):
            break
    return Found(best[1]) if best[1] else None


def at_odds(one: Planted, other: Planted) -> bool:
    """Whether both exchange the same line of the same layer."""
    apart = one.layers is not None and other.layers is not None and not one.layers & other.layers
    return not apart and bool(one.lines.keys() & other.lines.keys())


def named(
    comparison: Comparison, place: str, choice: Planted, planted: list[Planted], found: Found, skipped: set[str]
) -> Finding:
    residuals = comparison.residuals([*planted, *(other for other in found.chosen if other not in planted)])
    fit = largest(comparison, residuals, comparison.first_wrong(residuals, skipped), skipped)
    mistake = choice.mistake
    sentence = mistake.sentence
    if found.equals:
        sentence += f"; or, which gives the same numbers: {'; or: '.join(other.sentence for other in found.equals)}"
    return Finding(
        comparison.titles[place],
        sentence,
        mistake.id,
        choice.where,
        mistake.formula,
        mistake.link,
        fit,
        found.next_residual,
        found.next_mistake.sentence if found.next_mistake else "",
        tuple(other.id for other in found.equals),
    )


def unnamed(comparison: Comparison, planted: list[Planted], first: int) -> Finding:
    """Wrong, and none of the known mistakes: what can be said about the numbers all the same."""
    title = comparison.titles[comparison.places[first]]
    here, everywhere = [], []
    for problem, observed in enumerate(comparison.observed):
        predicted = comparison.predicted(planted, problem)
        for place in comparison.places:
            if comparison.titles[place] == title and place in observed and place in predicted:
                scale, expected = comparison.scales[problem][place], np.asarray(predicted[place])
                everywhere.append((observed[place], expected, scale, comparison.circumstances[problem]))
                if place == comparison.places[first]:
                    here.append(everywhere[-1])
    worst = max(distance(*pair[:3]) for pair in everywhere)
    return Finding(title, described(here, everywhere, comparison.tolerance), residual=worst)
