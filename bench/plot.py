"""Bars as SVG, drawn by hand: a plot library would be the heaviest dependency of all."""

from collections.abc import Mapping
from html import escape

WIDTH, NAMES, BARS, ROW, TITLE = 720, 120, 520, 22, 34
OURS, THEIRS, TEXT = "#1f883d", "#8c959f", "#6e7781"  # readable on a light and on a dark page


def draw(panels: Mapping[str, Mapping[str, float]]) -> str:
    """A group of bars under each title, each as long as its value is great."""
    lines, y = [], 0
    for title, values in panels.items():
        longest = max(values.values())
        lines.append(_text(0, y + TITLE - 12, title, weight="bold"))
        y += TITLE
        for name, value in values.items():
            length = max(BARS * value / longest, 1)
            lines.append(_text(NAMES - 8, y + 15, name, anchor="end"))
            color = OURS if name == "ours" else THEIRS
            lines.append(
                f'<rect x="{NAMES}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2" fill="{color}"/>'
            )
            lines.append(_text(NAMES + length + 6, y + 15, f"{value:.2f}"))
            y += ROW
    look = f'viewBox="0 0 {WIDTH} {y + 8}" font-family="sans-serif" font-size="13"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {look}>', *lines, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{TEXT}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )
