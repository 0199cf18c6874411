"""Writes source/transforms.hpp and source/tables.hpp: Winograd's transforms as straight-line C++, from their points.

`python native/generate.py` after a change here; a test holds that both files are current.

A filter g of r taps slid over d makes y_i = sum_k g_k d_(i+k), m outputs of N = m + r - 1 inputs. Winograd: with N
points a_j there are matrices such that `y = A (G g * B d)`, N multiplications where m * r were. Where they come from:
the transposed map, d from y and g, is the product of two polynomials, of m and r coefficients. A product of degree
N - 1 is known by its values at N points: evaluate both (Vandermonde rows, 1, a, a², ...), multiply value by value,
interpolate (Lagrange: the polynomial over all other points, divided by its value at a_j). Transposing back,
evaluating y becomes A, interpolating becomes B, and Lagrange's divisors go into G, which is applied once, ahead of
time, in float64.
One point may be infinity, where the value of a polynomial is its leading coefficient.

Points come in pairs +a and -a. Lagrange's polynomial without the one or the other is (x + a) R(x) or (x - a) R(x), R
being even or odd: x R and a R have no power in common, so B d at the pair is a sum and a difference of two halves.
A has a^i m_+ + (-a)^i m_-: again a sum (even i) and a difference (odd i). That is half the arithmetic, and less error.

Stride 2 with three taps: y_i = (g_0 d_2i + g_2 d_(2i+2)) + g_1 d_(2i+1). The even inputs are a filter of two taps of
stride 1, for F(m, 2); each odd input belongs to one output, a multiplication by g_1. In all 2m + 1 for 3m, and the m
odd ones share one weight (`slots`).

In two dimensions a transform is applied down the columns and then along the rows; points, and weights, are all pairs.
"""

from math import prod, sqrt
from pathlib import Path

INFINITY = "infinity"
SOURCE = Path(__file__).parent / "source"


def pairs(*positive):
    """Each with its negative behind it."""
    return [sign * point for point in positive for sign in (1, -1)]


# (outputs, taps): finite points, in pairs of neighbours but for 0; infinity comes last. Which points decides the error:
# these are the best of a search, and have few binary digits, so that the coefficients of B are hardly rounded.
POINTS = {
    (1, 1): [],
    (2, 3): [0, *pairs(1)],
    (4, 3): [0, *pairs(sqrt(0.5), sqrt(2))],
    (5, 3): pairs(0.25, 0.875, 1.75),
    (6, 3): [0, *pairs(0.5, 1, 2)],
    (2, 5): [0, *pairs(sqrt(0.5), sqrt(2))],
    (4, 5): [0, *pairs(0.5, 1, 2)],
    (4, 7): [0, *pairs(0.4375, 0.8125, 1.25, 2.5)],
    (6, 7): [0, *pairs(0.375, 0.6875, 1, 1.5, 2.75)],
    (4, 4): pairs(0.25, 0.875, 1.75),
    (2, 2): pairs(1),
    (3, 2): [0, *pairs(1)],
    (4, 2): pairs(0.5, 1.5),
}
STRIDED = (2, 3)  # outputs of the transforms of stride 2
# name, (outputs, taps, stride) down, the same across. The numbers of algorithms are their places here, behind "direct".
ONE = (1, 1, 1)
LINE = ((2, 3), (4, 3), (4, 7), (6, 7))
SQUARE = ((2, 3), (4, 3), (5, 3), (6, 3), (2, 5), (4, 5), (4, 4), (4, 2))
ALGORITHMS = [(f"F({m}x{m},{r}x{r})", (m, r, 1), (m, r, 1)) for m, r in SQUARE]
ALGORITHMS += [(f"F(1x{m},1x{r})", ONE, (m, r, 1)) for m, r in LINE]
ALGORITHMS += [(f"F({m}x1,{r}x1)", (m, r, 1), ONE) for m, r in LINE]
ALGORITHMS += [(f"F({m}x{m},3x3)/2", (m, 3, 2), (m, 3, 2)) for m in STRIDED]


def polynomial(roots):
    """Coefficients of the product of (x - root), the lowest power first."""
    coefficients = [1.0]
    for root in roots:
        shifted, scaled = [0.0, *coefficients], [*(-root * c for c in coefficients), 0.0]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


def weights(points, taps):
    """G, a row for each point and infinity."""
    divisors = [prod(a - b for b in points if b != a) for a in points]
    rows = [[a**k / divisor for k in range(taps)] for a, divisor in zip(points, divisors, strict=True)]
    return [*rows, [float(k == taps - 1) for k in range(taps)]]


def total(terms):
    """A C++ sum of (coefficient, vector), without those of 0."""
    text = ""
    for exact, vector in sorted(terms, key=lambda term: term[0] < 0):
        if abs(exact) > 1e-12:
            coefficient = float(f"{exact:.10g}")  # more than float32 has; float64's own errors are left out
            times = "" if abs(coefficient) == 1 else f"{abs(coefficient)!r}f * "
            sign = ("-" if coefficient < 0 else "") if not text else " - " if coefficient < 0 else " + "
            text += f"{sign}{times}{vector}"
    return text


def split(points):
    """The pairs, and 0 if it is there."""
    return [a for a in points if a > 0], 0 in points


def input_lines(points, at, to):
    """B d: `at(i)` is the text of input i, `to(j)` that of point j."""
    halves, zero = split(points)
    for number, a in enumerate(halves):
        rest = polynomial([b for b in points if abs(b) != a])
        first, second = [0.0, *rest], [a * c for c in rest]
        yield f"const Vector whole{number} = {total((c, at(i)) for i, c in enumerate(first))};"
        yield f"const Vector half{number} = {total((c, at(i)) for i, c in enumerate(second))};"
        yield f"{to(zero + 2 * number)} = whole{number} + half{number};"
        yield f"{to(zero + 2 * number + 1)} = whole{number} - half{number};"
    if zero:
        yield f"{to(0)} = {total((c, at(i)) for i, c in enumerate(polynomial(points[1:])))};"
    yield f"{to(len(points))} = {total((c, at(i)) for i, c in enumerate(polynomial(points)))};"


def output_lines(points, outputs, at, to, extra):
    """A m; `extra(i)` is one more term for output i, or none."""
    halves, zero = split(points)
    for number in range(len(halves)):
        first, second = at(zero + 2 * number), at(zero + 2 * number + 1)
        yield f"const Vector sum{number} = {first} + {second};"
        yield f"const Vector difference{number} = {first} - {second};"
    for i in range(outputs):
        terms = [(a**i, f"{('difference' if i % 2 else 'sum')}{number}") for number, a in enumerate(halves)]
        terms += [(1.0, at(0))] if zero and i == 0 else []
        terms += [(1.0, at(len(points)))] if i == outputs - 1 else []
        yield f"{to(i)} = {total(terms + extra(i))};"


def transform(outputs, taps, stride):
    """A C++ struct, and (the struct's name, outputs, span, taps, G, the row of G that each point has)."""
    name = f"Transform_{outputs}_{taps}_{stride}"

    read, written = "from[{} * From]".format, "to[{} * To]".format
    if stride == 1:
        points = POINTS[outputs, taps]
        inside = input_lines(points, read, written)
        outside = output_lines(points, outputs, read, written, lambda _: [])
        matrix, slots = weights(points, taps), list(range(len(points) + 1))
    else:
        points, even = POINTS[outputs, 2], outputs + 1
        inside = list(input_lines(points, lambda i: read(2 * i), written))
        inside += [f"{written(even + i)} = {read(2 * i + 1)};" for i in range(outputs)]
        outside = output_lines(points, outputs, read, written, lambda i: [(1.0, read(even + i))])
        matrix = [[row[0], 0.0, row[1]] for row in weights(points, 2)] + [[0.0, 1.0, 0.0]]
        slots = [*range(even), *[even] * outputs]
    body = "\n".join(
        f"    template <int From, int To>\n    static INLINE void {kind}(const Vector* from, Vector* to) {{\n"
        + "".join(f"        {line}\n" for line in lines)
        + "    }"
        for kind, lines in (("input", inside), ("output", outside))
    )
    head = f"struct {name} {{\n    static constexpr int outputs = {outputs}, span = {len(slots)};\n\n"
    return head + body + "\n};\n", (name, outputs, len(slots), taps, matrix, slots)


def numbers(values):
    """As C++ initialises them, -0 as 0."""
    return "{" + ", ".join(repr(value + 0) for value in values) + "}"


def files():
    """Names and texts."""
    shapes = list(dict.fromkeys(shape for _, *both in ALGORITHMS for shape in both))
    made = {shape: transform(*shape) for shape in shapes}
    note = "// Written by generate.py, where the derivation is; do not edit.\n#pragma once\n\n"
    code = note + '#include "vector.hpp"\n\nnamespace LEVEL {\n\n' + "\n".join(made[shape][0] for shape in shapes)
    code += "\n#define FOR_EACH_ALGORITHM(_) \\\n" + " \\\n".join(
        f"    _({made[down][1][0]}, {made[across][1][0]})" for _, down, across in ALGORITHMS
    )
    tables = note + '#include "kernels.hpp"\n\nstruct Matrix {\n    int rows, taps;\n    double values[12][7];\n'
    tables += "    unsigned char slots[12];  // which row each point has\n};\n\nconstexpr Matrix MATRICES[] = {\n"
    for _, outputs, _, taps, matrix, slots in (made[shape][1] for shape in shapes):
        rows = ",\n      ".join(map(numbers, matrix))
        tables += f"    // {outputs} outputs of {taps} taps\n"
        tables += f"    {{{len(matrix)}, {taps}, {{\n      {rows}}},\n     {numbers(slots)}}},\n"
    tables += "};\n\nconstexpr Algorithm ALGORITHMS[] = {\n"
    tables += '    {"direct", 0, 0, 0, 0, 0, 0, 0, 0, 0},\n'
    for name, down, across in ALGORITHMS:
        (_, rows, height, *_), (_, columns, width, *_) = made[down][1], made[across][1]
        fields = (down[1], across[1], max(down[2], across[2]), rows, columns, height, width)
        places = shapes.index(down), shapes.index(across)
        tables += f'    {{"{name}", {", ".join(map(str, (*fields, *places)))}}},\n'
    return {"transforms.hpp": code + "\n\n}  // namespace LEVEL\n", "tables.hpp": tables + "};\n"}


if __name__ == "__main__":
    for name, text in files().items():
        (SOURCE / name).write_text(text)
