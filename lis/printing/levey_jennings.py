"""The Levey-Jennings chart: values in, SVG out. One renderer for screen, print and PDF. Pure.

What is drawn. The y axis is in SDs (SDI), so levels of different size overlay; +-1, 2 and 3 SD are bands
and lines. The x axis is the sequence of runs, with times as labels. A level is told by colour *and*
shape. What happened to a point is told by its mark, never by colour alone:

    accepted    filled shape
    warned      filled shape with a thin close ring
    rejected    hollow shape with a thick ring, and the rule's name beside it
    pending     small hollow shape: a run that is not complete
    voided      hollow dashed shape; shown, never removed
    beyond the axis: the mark sits on the edge with an arrow

A line joins successive points of a level; it breaks where a run has no point of the level, where more
than `gap` lies between two runs, and at a change of lot or target, since mean and SD restart there.

Rules for this file. No `style` attribute and no script (strict CSP): classes, and presentation attributes
that any style sheet overrides, so the same bytes print in black on white without one. One `<path>` per
level and mark class keeps three thousand points at some eighty nodes. Numbers are written with one
decimal place: the same chart is the same bytes, and tests may compare it.

What a script may read. `<svg class="lj" data-runs=N data-left= data-step= data-times="t|t|...">` and per
level `<g class="lj-level lj-1" data-level= data-index= data-x= data-y= data-z= data-value= data-rule=
data-state= data-point=>`: lists joined by `|`, one entry a point, `data-index` into `data-times`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from lis.printing.chart import Chart, ChartEvent, ChartLevel, ChartPoint, ChartRun, Labels, Mark
from lis.printing.svg_shapes import arrow, circle, diamond, number, square, triangle

__all__ = [
    "Chart",
    "ChartEvent",
    "ChartLevel",
    "ChartPoint",
    "ChartRun",
    "Labels",
    "Mark",
    "levey_jennings_svg",
]

Z_SHOWN_MAX = 4.0  # SD; farther points are drawn at the edge with an arrow
WIDTH_DEFAULT, HEIGHT_DEFAULT = 1120, 420  # px of the view box
TEXT_WIDTH_PX = 6.4  # of one character at 11 px, on the generous side so that nothing is cut
TICK_GAP_PX = 18.0  # between two labels of the x axis
LABEL_HEIGHT_PX = 13.0
RADIUS_PX = 3.6
EDGE_PX = 18.0  # between +-4 SD and the frame: a clipped mark and its arrow stay inside
LEVEL_COLOURS = ("#0072b2", "#c2410c", "#00795b", "#6d28d9")  # >= 4.2:1 on every band
REJECTED_COLOUR, WARNED_COLOUR = "#b91c1c", "#92400e"
LOT_COLOUR, TEXT_COLOUR = "#6d28d9", "#334155"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where things are, in px."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    runs: int

    @property
    def step(self) -> float:
        return (self.right - self.left - 24) / max(self.runs - 1, 1)

    def x(self, run: float) -> float:
        if self.runs == 1:
            return (self.left + self.right) / 2
        return self.left + 12 + run * self.step

    def y(self, z: float) -> float:
        shown = max(-Z_SHOWN_MAX, min(Z_SHOWN_MAX, z))
        middle, half = (self.top + self.bottom) / 2, (self.bottom - self.top) / 2
        return middle - shown / Z_SHOWN_MAX * (half - EDGE_PX)


def levey_jennings_svg(
    chart: Chart, *, width: int = WIDTH_DEFAULT, height: int = HEIGHT_DEFAULT, name: str = "lj"
) -> str:
    """The chart as one `<svg>` element; `name` makes its ids unique on a page with several."""
    frame = _frame(chart, width, height)
    times = "|".join(_clean(run.time) for run in chart.runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lj" role="img" tabindex="0" '
        f'viewBox="0 0 {width} {height}" aria-labelledby="{name}-title {name}-desc" '
        f'font-family="Source Sans 3, Source Sans Pro, sans-serif" font-size="11" '
        f'data-runs="{len(chart.runs)}" data-left="{number(frame.x(0))}" '
        f'data-step="{number(frame.step)}" data-top="{number(frame.top)}" '
        f'data-bottom="{number(frame.bottom)}" data-times={quoteattr(times)}>',
        f'<title id="{name}-title">{escape(chart.labels.title)}</title>',
        f'<desc id="{name}-desc">{escape(chart.labels.description)}</desc>',
        *_grid(chart, frame),
        *_ticks(chart, frame),
        *_events(chart, frame),
    ]
    for position, level in enumerate(chart.levels):
        parts += _level(level, _place(level, position), chart, frame)
    parts += _rule_names(chart, frame)
    parts += _legend(chart, frame)
    if not any(level.points for level in chart.levels):
        parts.append(
            _text(frame.width / 2, frame.y(0) - 8, chart.labels.empty, "lj-empty", "middle")
        )
    return "\n".join([*parts, "</svg>"])


# --- axes ---------------------------------------------------------------------------------------


def _frame(chart: Chart, width: int, height: int) -> _Frame:
    widest = max(len(_sd_label(k, chart)) for k in range(-3, 4))
    left = 14 + widest * TEXT_WIDTH_PX
    scale = _scale(chart)
    right = width - (14 + max((len(text) for text in scale), default=0) * TEXT_WIDTH_PX)
    rows = len(_legend_rows(chart, right - left))
    top = 12 + LABEL_HEIGHT_PX * 1.3 * rows + (LABEL_HEIGHT_PX if chart.events else 0)
    return _Frame(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=height - 28.0,
        runs=len(chart.runs),
    )


def _sd_label(k: int, chart: Chart) -> str:
    return f"{k:+d}\u00a0{chart.labels.sd}".replace("-", "\u2212") if k else chart.labels.mean


def _scale(chart: Chart) -> tuple[str, ...]:
    """Own units, only where one level makes them true for every point."""
    return chart.levels[0].scale if len(chart.levels) == 1 else ()


_BANDS: tuple[tuple[float, float, str, str], ...] = (
    (3, Z_SHOWN_MAX, "lj-band-out", "#fee2e2"),
    (2, 3, "lj-band-3", "#fef3c7"),
    (1, 2, "lj-band-2", "#f8fafc"),
    (0, 1, "lj-band-1", "#ecfdf5"),
)
_LINES: Mapping[int, tuple[str, str, str]] = {
    0: ("lj-mean", "#64748b", ""),
    1: ("lj-sd-1", "#e2e8f0", ""),
    2: ("lj-sd-2", "#b45309", "1.5 3"),
    3: ("lj-sd-3", "#b91c1c", "4 3"),
}


def _grid(chart: Chart, frame: _Frame) -> Iterable[str]:
    wide = frame.right - frame.left
    for inner, outer, name, colour in _BANDS:
        for sign in (1, -1):
            edges = sorted((_edge(sign * outer, frame), _edge(sign * inner, frame)))
            yield (
                f'<rect class="{name}" fill="{colour}" x="{number(frame.left)}" y="{number(edges[0])}" '
                f'width="{number(wide)}" height="{number(edges[1] - edges[0])}"/>'
            )
    scale = _scale(chart)
    for k in range(-3, 4):
        name, colour, dashes = _LINES[abs(k)]
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        y = frame.y(k)
        yield (
            f'<path class="{name}" fill="none" stroke="{colour}"{dashed} '
            f'd="M{number(frame.left)} {number(y)}H{number(frame.right)}"/>'
        )
        yield _text(frame.left - 7, y + 4, _sd_label(k, chart), "lj-axis", "end")
        if scale:
            yield _text(frame.right + 7, y + 4, scale[k + 3], "lj-axis", "start")


def _edge(z: float, frame: _Frame) -> float:
    if z >= Z_SHOWN_MAX:
        return frame.top
    return frame.bottom if z <= -Z_SHOWN_MAX else frame.y(z)


def _ticks(chart: Chart, frame: _Frame) -> Iterable[str]:
    """As many times as fit without touching; each label lies wholly inside the picture."""
    free_from = 0.0
    for run, shown in enumerate(chart.runs):
        half = len(shown.tick) * TEXT_WIDTH_PX / 2
        x = min(max(frame.x(run), half + 2), frame.width - half - 2)
        if x - half < free_from:
            continue
        free_from = x + half + TICK_GAP_PX
        yield (
            f'<path class="lj-tick" stroke="#94a3b8" d="M{number(frame.x(run))} {number(frame.bottom)}v4"/>'
        )
        yield _text(x, frame.bottom + 18, shown.tick, "lj-axis", "middle")


def _events(chart: Chart, frame: _Frame) -> Iterable[str]:
    free_from = 0.0
    for event in sorted(chart.events, key=lambda one: one.run):
        x = frame.x(event.run - 0.5) if event.run else frame.left
        long = len(event.label) * TEXT_WIDTH_PX
        label_x = min(x + 4, frame.width - long - 2)
        yield (
            f'<path class="lj-event" fill="none" stroke="{LOT_COLOUR}" stroke-dasharray="5 3" '
            f'd="M{number(x)} {number(frame.top - 10)}V{number(frame.bottom)}"/>'
        )
        if label_x >= free_from:
            yield _text(label_x, frame.top - 4, event.label, "lj-event-label", "start")
            free_from = label_x + long + 6


# --- levels -------------------------------------------------------------------------------------


def _place(level: ChartLevel, position: int) -> int:
    """Which colour and shape a level has."""
    return level.place if level.place >= 0 else position


def _level(level: ChartLevel, place: int, chart: Chart, frame: _Frame) -> list[str]:
    colour = LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
    shape = _SHAPES[place % len(_SHAPES)]
    placed = [(point, frame.x(point.run), frame.y(point.z)) for point in level.points]
    parts = [_level_group(level, place, placed)]
    line = _line(level.points, chart, frame)
    if line:
        parts.append(
            f'<path class="lj-line" fill="none" stroke="{colour}" stroke-opacity=".75" d="{line}"/>'
        )
    for mark in Mark:
        d = "".join(
            shape(x, y, _RADII.get(mark, RADIUS_PX)) for point, x, y in placed if point.mark is mark
        )
        if d:
            parts.append(f'<path class="lj-{mark.value}" {_paint(mark, colour)} d="{d}"/>')
    for mark, radius, paint in _RINGS:
        rings = "".join(circle(x, y, radius) for point, x, y in placed if point.mark is mark)
        parts += _path(f"lj-ring-{mark.value}", f'fill="none" {paint}', rings)
    clipped = "".join(arrow(x, y, point.z) for point, x, y in placed if abs(point.z) > Z_SHOWN_MAX)
    parts += _path("lj-clipped", f'fill="{colour}"', clipped)
    flags = "".join(
        f"M{number(x + 9)} {number(y + 11)}v-9h6l-2 2.5l2 2.5h-6"  # clear of the ring and of a rule's name
        for point, x, y in placed
        if point.has_comment
    )
    parts += _path("lj-comment", f'fill="{TEXT_COLOUR}" stroke="{TEXT_COLOUR}"', flags)
    return [*parts, "</g>"]


def _level_group(
    level: ChartLevel, place: int, placed: Sequence[tuple[ChartPoint, float, float]]
) -> str:
    lists = {
        "index": (str(point.run) for point, _, _ in placed),
        "x": (number(x) for _, x, _ in placed),
        "y": (number(y) for _, _, y in placed),
        "z": (f"{point.z:+.2f}" for point, _, _ in placed),
        "value": (_clean(point.value) for point, _, _ in placed),
        "rule": (" ".join(point.rules) for point, _, _ in placed),
        "state": (point.mark.value for point, _, _ in placed),
        "point": (str(point.id) for point, _, _ in placed),
    }
    data = " ".join(f"data-{key}={quoteattr('|'.join(one))}" for key, one in lists.items())
    label = quoteattr(level.label)
    return f'<g class="lj-level lj-{place + 1}" data-level={label} {data}>'


def _line(points: Sequence[ChartPoint], chart: Chart, frame: _Frame) -> str:
    if len(points) < 2:
        return ""
    d = [f"M{number(frame.x(points[0].run))} {number(frame.y(points[0].z))}"]
    for before, point in pairwise(points):
        is_joined = (
            point.run - before.run <= 1
            and not point.starts_anew
            and chart.runs[point.run].at - chart.runs[before.run].at <= chart.gap
        )
        command = "L" if is_joined else "M"
        d.append(f"{command}{number(frame.x(point.run))} {number(frame.y(point.z))}")
    return "".join(d)


_SHAPES: tuple[Callable[[float, float, float], str], ...] = (circle, square, triangle, diamond)
_RADII = {Mark.REJECTED: RADIUS_PX + 0.9, Mark.PENDING: RADIUS_PX - 1.0, Mark.VOID: RADIUS_PX + 0.6}


_RINGS = (
    (Mark.WARNED, RADIUS_PX + 2.4, f'stroke="{WARNED_COLOUR}" stroke-width=".9"'),
    (Mark.REJECTED, RADIUS_PX + 4.2, f'stroke="{REJECTED_COLOUR}" stroke-width="1.8"'),
)


def _paint(mark: Mark, colour: str) -> str:
    if mark in (Mark.ACCEPTED, Mark.WARNED):
        return f'fill="{colour}"'
    dashes = ' stroke-dasharray="2 1.5"' if mark is Mark.VOID else ""
    wide = "1.8" if mark is Mark.REJECTED else "1.2"
    return f'fill="#fff" stroke="{colour}" stroke-width="{wide}"{dashes}'


def _path(name: str, paint: str, d: str) -> list[str]:
    return [f'<path class="{name}" {paint} d="{d}"/>'] if d else []


# --- words on the chart -------------------------------------------------------------------------


def _rule_names(chart: Chart, frame: _Frame) -> Iterable[str]:
    """Names of rejecting rules beside their points, moved apart or left to the tooltip."""
    taken: list[tuple[float, float, float]] = []  # left, right, baseline
    named = sorted(
        (frame.x(point.run), frame.y(point.z), " ".join(point.rules), point.z)
        for level in chart.levels
        for point in level.points
        if point.mark is Mark.REJECTED and point.rules
    )
    for x, y, text, z in named:
        half = len(text) * TEXT_WIDTH_PX / 2
        for middle, base in _places(x, y, z, half):
            is_inside = (
                frame.top + 8 <= base <= frame.bottom - 2
                and frame.left + 2 <= middle - half
                and middle + half <= frame.right - 2
            )
            if is_inside and not _is_taken(taken, middle - half, middle + half, base):
                taken.append((middle - half, middle + half, base))
                yield _text(middle, base, text, "lj-rule", "middle")
                break


def _places(x: float, y: float, z: float, half: float) -> Iterable[tuple[float, float]]:
    """Where a name may stand: away from the mean first, then beside the mark, then further away."""
    away, near = (-13.0, 21.0) if z >= 0 else (21.0, -13.0)
    yield x, y + away
    yield x + half + 12, y + 4
    yield x - half - 12, y + 4
    yield x, y + away + (LABEL_HEIGHT_PX if away > 0 else -LABEL_HEIGHT_PX)
    yield x, y + near


def _is_taken(
    taken: Iterable[tuple[float, float, float]], left: float, right: float, base: float
) -> bool:
    return any(
        left < other_right and other_left < right and abs(base - other) < LABEL_HEIGHT_PX
        for other_left, other_right, other in taken
    )


def _legend_rows(chart: Chart, wide: float) -> list[list[int]]:
    """Captions row by row, so that none is cut at the right edge."""
    rows: list[list[int]] = [[]]
    used = 0.0
    for place, level in enumerate(chart.levels):
        needs = 26 + len(level.caption) * TEXT_WIDTH_PX
        if rows[-1] and used + needs > wide:
            rows.append([])
            used = 0.0
        rows[-1].append(place)
        used += needs
    return rows


def _legend(chart: Chart, frame: _Frame) -> Iterable[str]:
    for row, places in enumerate(_legend_rows(chart, frame.right - frame.left)):
        x, y = frame.left, 14 + row * LABEL_HEIGHT_PX * 1.3
        for position in places:
            caption = chart.levels[position].caption
            place = _place(chart.levels[position], position)
            colour = LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
            shape = _SHAPES[place % len(_SHAPES)](x + 5, y - 4, RADIUS_PX + 0.6)
            yield (
                f'<g class="lj-legend lj-{place + 1}">'
                f'<path class="lj-accepted" fill="{colour}" d="{shape}"/>'
                f"{_text(x + 14, y, caption, 'lj-caption', 'start')}</g>"
            )
            x += 26 + len(caption) * TEXT_WIDTH_PX


_TEXT_PAINT = {"lj-rule": REJECTED_COLOUR, "lj-event-label": LOT_COLOUR}


def _text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    paint = _TEXT_PAINT.get(name, TEXT_COLOUR)
    return (
        f'<text class="{name}" fill="{paint}" text-anchor="{anchor}" '
        f'x="{number(x)}" y="{number(y)}">{escape(text)}</text>'
    )


def _clean(text: str) -> str:
    """Text inside a list joined by bars."""
    return text.replace("|", "/")
