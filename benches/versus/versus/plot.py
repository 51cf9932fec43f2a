"""Bar charts as SVG, written by hand: legible at 700 px and on a phone, light or dark."""

import math
from dataclasses import dataclass
from html import escape

from .series import number

WIDTH = 480
LABEL_WIDTH = 136
VALUE_WIDTH = 80
BAR, GAP = 15, 5
GROUP_HEAD, GROUP_GAP = 24, 10
TOP = 52
TRACK = WIDTH - LABEL_WIDTH - VALUE_WIDTH

COLOURS = {
    "klamm-os-cached": "#3b82f6",
    "klamm-synced": "#8b5cf6",
    "kafka": "#e08600",
    "kafka-tuned": "#b8892f",
    "kafka-flush": "#c2571a",
    "tansu": "#0f9f6e",
    "tansu-sqlite": "#0e8f9f",
}

STYLE = """\
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 16px; }
.note, .value { fill: #59636e; font-size: 13px; }
.group { font-weight: 600; }
.ground { fill: #ffffff; }
.spread { stroke: #1f2328; stroke-width: 1.5; opacity: 0.6; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note, .value { fill: #9198a1; }
  .ground { fill: #0d1117; }
  .spread { stroke: #e6edf3; }
}"""


@dataclass(frozen=True)
class Bar:
    """A median, and from where to where the rounds went."""

    name: str
    middle: float
    low: float
    high: float
    colour: str


@dataclass(frozen=True)
class Chart:
    """Groups of bars on one scale, which is logarithmic where figures differ by powers of ten."""

    title: str
    note: str
    groups: list[tuple[str, list[Bar]]]
    logarithmic: bool = False

    def svg(self) -> str:
        groups = [(label, bars) for label, bars in self.groups if bars]
        if not groups:
            return ""
        figures = [figure for _, bars in groups for bar in bars for figure in (bar.low, bar.high)]
        scale = Scale.over(figures, self.logarithmic)
        parts, y = [], TOP
        for label, bars in groups:
            parts.append(text(10, y + 15, label, "group"))
            y += GROUP_HEAD
            for bar in bars:
                parts += drawn(bar, scale, y)
                y += BAR + GAP
            y += GROUP_GAP
        note = self.note + (" · log scale" if self.logarithmic else "")
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
            f'width="{WIDTH}" height="{y}" role="img" aria-label="{escape(self.title)}">',
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="ground" width="{WIDTH}" height="{y}" rx="6"/>',
            text(10, 22, self.title, "title"),
            text(10, 41, note, "note"),
            *parts,
            "</svg>\n",
        ])  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """From a figure to a length in the track."""

    least: float
    most: float
    logarithmic: bool

    @classmethod
    def over(cls, figures: list[float], logarithmic: bool) -> "Scale":
        positive = [figure for figure in figures if figure > 0] or [1]
        # The least of them still gets a bar that can be seen.
        return cls(min(positive) / 2 if logarithmic else 0, max(positive), logarithmic)

    def length(self, figure: float) -> float:
        if not self.logarithmic:
            return TRACK * max(figure, 0) / self.most
        above = math.log(max(figure, self.least) / self.least)
        return TRACK * above / math.log(self.most / self.least)


def drawn(bar: Bar, scale: Scale, y: float) -> list[str]:
    x = LABEL_WIDTH
    low, end, high = (x + scale.length(figure) for figure in (bar.low, bar.middle, bar.high))
    middle = y + BAR / 2
    return [
        text(x - 6, y + 12, bar.name, "note", "end"),
        f'<rect x="{x}" y="{y}" width="{max(end - x, 1):.1f}" height="{BAR}" rx="2" '
        f'fill="{bar.colour}"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        text(max(end, high) + 6, y + 12, number(bar.middle), "value"),
    ]


def text(x: float, y: float, said: str, style: str, anchor: str = "start") -> str:
    placed = f'x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}"'
    return f"<text {placed}>{escape(said)}</text>"
