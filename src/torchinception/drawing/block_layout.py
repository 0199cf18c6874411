"""One stage as its branches, from below to above as the papers' figures are drawn."""

from collections.abc import Sequence

from torchinception.drawing.canvas import Box, Drawing, Kind, Line, Shape, Text, text_width
from torchinception.drawing.parts import Chain, Operation, Part, Repeat, Split, Sum

WIDTH, GAP, RISE = 118.0, 16.0, 26.0  # of a box, between branches, between boxes
BAR, RING, MARGIN = 30.0, 22.0, 20.0  # height of a bar, diameter of a sum, around it all
BYPASS = 34.0  # width of a shortcut without a box
INSET = 14.0  # of the frame around what is repeated

Span = tuple[float, float, float]  # x from, x to, y: what an arrow may start from


def lay_out_block(title: str, subtitle: str, chain: Chain, before: tuple[str, tuple[int, ...]]) -> Drawing:
    """The figure of `chain`; `before` is the name and shape of what goes in."""
    block = max(chain_width(chain), text_width(f"{before[0]} · 0000 × 000 × 000"))
    needed = max(block, text_width(title, 15), text_width(subtitle, 11))
    plan = _Plan()
    left, right = (needed - block) / 2, (needed + block) / 2
    start = plan.bar(left, right, 0, before[0], before[1], "input")
    tails = plan.chain(chain, left, right, start)
    top = max(y for _, _, y in tails) + RISE
    name = "concat" if isinstance(chain[-1], Split) else "output"
    for x0, x1, y in tails:
        plan.wire(((x0 + x1) / 2, y), ((x0 + x1) / 2, top))
    plan.bar(left, right, top, name, chain[-1].shape, "join" if name == "concat" else "input")
    height = top + BAR + 2 * MARGIN + 44
    shapes = [_flip(shape, height - MARGIN, MARGIN) for shape in plan.shapes]
    middle = needed / 2 + MARGIN
    heading = [Text(middle, MARGIN + 6, title, 15, bold=True), Text(middle, MARGIN + 26, subtitle, 11, faint=True)]
    return Drawing(f"{title}: {subtitle}", needed + 2 * MARGIN, height, (*heading, *shapes))


def chain_width(chain: Chain) -> float:
    """How wide parts one above the other are."""
    return max((_width(part) for part in chain), default=BYPASS)


def _width(part: Part) -> float:
    match part:
        case Operation():
            return WIDTH
        case Split():
            return sum(map(chain_width, part.branches)) + GAP * (len(part.branches) - 1)
        case Sum():
            return chain_width(part.branch) + GAP + chain_width(part.shortcut)
        case Repeat():
            return _width(part.part) + 2 * INSET


class _Plan:
    """Shapes with y growing upwards; `_flip` turns them over."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []

    def chain(self, chain: Chain, left: float, right: float, start: Span) -> list[Span]:
        """Parts between `left` and `right` above `start`; where arrows leave them, several above a split."""
        tails = [start]
        for index, part in enumerate(chain):
            match part:
                case Operation():
                    tails = [self.operation(part, (left + right) / 2, tails[0])]
                case Split():
                    tails = self.split(part, left, right, tails[0])
                    if index + 1 < len(chain):
                        tails = [self.join(tails, part.shape)]
                case Sum():
                    tails = [self.sum(part, left, right, tails[0])]
                case Repeat():
                    tails = [self.repeat(part, left, right, tails[0])]
        return tails

    def operation(self, part: Operation, x: float, start: Span) -> Span:
        """A box of one to three lines."""
        lines = [text for text in (part.title, part.detail, part.note) if text]
        height = 12 + 15.0 * len(lines)
        y = start[2] + RISE
        self.connect(start, x, y)
        self.shapes.append(Box(x - WIDTH / 2, y, WIDTH, height, part.kind))
        for index, text in enumerate(lines):
            size = 12 if index == 0 else 11
            self.shapes.append(Text(x, y + height - 13.5 - 15 * index, text, size, bold=index == 0, faint=index == 2))
        return x, x, y + height

    def split(self, part: Split, left: float, right: float, start: Span) -> list[Span]:
        """Branches side by side, in the middle."""
        widths = [chain_width(branch) for branch in part.branches]
        x = (left + right - _width(part)) / 2
        tails: list[Span] = []
        for branch, width in zip(part.branches, widths, strict=True):
            tails += self.chain(branch, x, x + width, start) if branch else [self.through(x + width / 2, start)]
            x += width + GAP
        return tails

    def through(self, x: float, start: Span) -> Span:
        """A branch without a box."""
        self.connect(start, x, start[2] + RISE, arrow=False)
        return x, x, start[2] + RISE

    def join(self, tails: Sequence[Span], shape: tuple[int, ...]) -> Span:
        """A bar over the branches."""
        left, right = min(x for x, _, _ in tails) - WIDTH / 2, max(x for _, x, _ in tails) + WIDTH / 2
        y = max(y for _, _, y in tails) + RISE
        for x, _, tail in tails:
            self.wire((x, tail), (x, y))
        middle = (left + right) / 2
        return middle, middle, self.bar(left, right, y, "concat", shape, "join")[2]

    def sum(self, part: Sum, left: float, right: float, start: Span) -> Span:
        """The branch on the left, the shortcut around it on the right, both into a ring."""
        beside = chain_width(part.shortcut)
        spare = right - left - _width(part)
        left, right = left + spare / 2, right - spare / 2
        edge, middle = right - beside - GAP, (left + right - beside - GAP) / 2
        around = right - beside / 2
        tails = self.chain(part.branch, left, edge, start)
        tail = tails[0] if len(tails) == 1 else self.join(tails, part.shape)
        shortcut = self.chain(part.shortcut, right - beside, right, start)[0] if part.shortcut else start
        y = tail[2] + (RISE + 12 if part.scale != 1 else RISE)
        self.wire((middle, tail[2]), (middle, y))
        if part.scale != 1:
            self.shapes.append(Text(middle + 8, (tail[2] + y) / 2, f"× {part.scale:.2f}", 12, "start", bold=True))
        self.shapes.append(Box(middle - RING / 2, y, RING, RING, "residual", RING / 2))
        self.shapes.append(Text(middle, y + RING / 2, "+", 16, bold=True))
        level = y + RING / 2
        origin = around if start[0] <= around <= start[1] or part.shortcut else (start[0] + start[1]) / 2
        bend = shortcut[2] if part.shortcut else start[2]
        points = [(origin, bend)]
        if origin != around:
            points += [(origin, bend + RISE / 2), (around, bend + RISE / 2)]
        self.wire(*points, (around, level), (middle + RING / 2, level))
        end = (middle, middle, y + RING)
        if part.relu:
            end = self.operation(Operation("other", "ReLU", part.shape), middle, end)
        return end

    def repeat(self, part: Repeat, left: float, right: float, start: Span) -> Span:
        """A dashed frame around the part, with how often it comes."""
        spare = (right - left - _width(part)) / 2
        left, right = left + spare, right - spare
        bottom = start[2] + RISE
        middle = (left + right - chain_width(part.part.shortcut) - GAP) / 2
        first = len(self.shapes)
        self.connect(start, middle, bottom + 10, arrow=False)
        end = self.sum(part.part, left + INSET, right - INSET, (middle, middle, bottom + 10))
        self.shapes.insert(first, Box(left, bottom, right - left, end[2] + INSET - bottom, "frame", 8))
        self.shapes.append(Text(right - 10, end[2] - 2, f"{part.count} times", 13, "end", bold=True))
        return end[0], end[1], end[2] + INSET

    def bar(self, left: float, right: float, y: float, name: str, shape: tuple[int, ...], kind: Kind) -> Span:
        """A box as wide as all of them."""
        self.shapes.append(Box(left, y, right - left, BAR, kind))
        self.shapes.append(Text((left + right) / 2, y + BAR / 2, f"{name} · {' × '.join(map(str, shape))}"))
        return left, right, y + BAR

    def connect(self, start: Span, x: float, y: float, *, arrow: bool = True) -> None:
        """From a span to a point above it: upright where it can be, else around a corner half-way."""
        x0, x1, y0 = start
        if x0 <= x <= x1:
            self.wire((x, y0), (x, y), arrow=arrow)
        else:
            centre = (x0 + x1) / 2
            turn = y0 + RISE / 2
            self.wire((centre, y0), (centre, turn), (x, turn), (x, y), arrow=arrow)

    def wire(self, *points: tuple[float, float], arrow: bool = True) -> None:
        """A line through points."""
        self.shapes.append(Line(points, arrow))


def _flip(shape: Shape, floor: float, left: float) -> Shape:
    match shape:
        case Box():
            return Box(
                shape.x + left, floor - shape.y - shape.height, shape.width, shape.height, shape.kind, shape.radius
            )
        case Line():
            return Line(tuple((x + left, floor - y) for x, y in shape.points), shape.arrow)
        case Text():
            return Text(shape.x + left, floor - shape.y, shape.text, shape.size, shape.anchor, shape.bold, shape.faint)
