"""Shapes as SVG path data, and the one way numbers are written in our pictures."""


def number(value: float) -> str:
    """One decimal place at most, and never a negative zero: the same chart is the same bytes."""
    text = f"{value:.1f}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def circle(x: float, y: float, r: float) -> str:
    """A circle around a point, of about the radius `r`."""
    return f"M{number(x - r)} {number(y)}a{number(r)} {number(r)} 0 1 0 {number(2 * r)} 0a{number(r)} {number(r)} 0 1 0 {number(-2 * r)} 0z"


def square(x: float, y: float, r: float) -> str:
    """A square around a point, of about the radius `r`."""
    side = r * 1.8
    return f"M{number(x - side / 2)} {number(y - side / 2)}h{number(side)}v{number(side)}h{number(-side)}z"


def triangle(x: float, y: float, r: float) -> str:
    """A triangle around a point, of about the radius `r`."""
    return f"M{number(x)} {number(y - r * 1.3)}l{number(r * 1.2)} {number(r * 2.1)}h{number(-r * 2.4)}z"


def diamond(x: float, y: float, r: float) -> str:
    """A diamond around a point, of about the radius `r`."""
    d = r * 1.35
    return f"M{number(x)} {number(y - d)}l{number(d)} {number(d)}l{number(-d)} {number(d)}l{number(-d)} {number(-d)}z"


def arrow(x: float, y: float, z: float) -> str:
    """A small head beyond the mark, pointing where the value really is."""
    sign = -1 if z > 0 else 1
    return f"M{number(x)} {number(y + sign * 16)}l4 {number(-sign * 6)}h-8z"
