"""Figures by round, and what is made of them: ratios are taken within a round, then the median."""

from collections.abc import Callable
from statistics import median

from .results import FLOOR, WHOLE, Results

PEAK = "broker_peak_rss_mib"
Series = dict[int, float]
Measure = Callable[[Results], Series]


def value(cell: str, contestant: str, key: str) -> Measure:
    """One figure of a contestant in a cell."""
    if (cell, key) == (WHOLE, PEAK):
        return greatest(contestant, PEAK)
    return lambda results: {
        result.round: result.figures[key]
        for result in results.of(cell, contestant)
        if key in result.figures
    }


def greatest(contestant: str, key: str) -> Measure:
    """A figure of a contestant where it is greatest. Each cell lets the peak of memory begin anew:
    what is left of it after the last one is not that of all."""

    def of(results: Results) -> Series:
        series: Series = {}
        for result in results.of_contestant(contestant):
            if key in result.figures:
                before = series.get(result.round, 0)
                series[result.round] = max(before, result.figures[key])
        return series

    return of


def floor(key: str) -> Measure:
    """A figure of the machine itself: the mean of before and after the round."""

    def of(results: Results) -> Series:
        before = value(f"{FLOOR}/before", FLOOR, key)(results)
        after = value(f"{FLOOR}/after", FLOOR, key)(results)
        return {number: (before[number] + after.get(number, before[number])) / 2
                for number in before}  # fmt: skip

    return of


def combined(one: Measure, other: Measure, how: Callable[[float, float], float]) -> Measure:
    """Round by round, where both have a figure."""

    def of(results: Results) -> Series:
        left, right = one(results), other(results)
        return {number: how(left[number], right[number]) for number in left if number in right}

    return of


def over(one: Measure, other: Measure) -> Measure:
    """How many times the other, where that is anything."""

    def of(results: Results) -> Series:
        left, right = one(results), other(results)
        return {number: left[number] / right[number] for number in left if right.get(number)}

    return of


def minus(one: Measure, other: Measure) -> Measure:
    return combined(one, other, lambda left, right: left - right)


def least(one: Measure, other: Measure) -> Measure:
    return combined(one, other, min)


def scaled(one: Measure, factor: float) -> Measure:
    return lambda results: {number: figure * factor for number, figure in one(results).items()}


def middle(series: Series) -> float | None:
    return median(series.values()) if series else None


def number(figure: float) -> str:
    """Three digits that count, and no more."""
    if figure != 0 and abs(figure) < 0.01:
        return f"{figure:.4f}"
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(figure) < limit:
            return f"{figure:.{digits}f}"
    return f"{figure:,.0f}"


def spread(series: Series) -> str:
    """The median, and from where to where the rounds went."""
    if not series:
        return ""
    centre = number(median(series.values()))
    if len(series) == 1:
        return centre
    return f"{centre} ({number(min(series.values()))}..{number(max(series.values()))})"
