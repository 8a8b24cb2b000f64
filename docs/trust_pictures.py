"""Draw the histograms of docs/trust.md from the phantom: `python docs/trust_pictures.py`, into docs/images."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.ct.plausibility import judge_array
from hounsfield.phantom import PhantomSpec

LOW, HIGH, BIN = -2200, 2200, 20
WIDTH, HEIGHT, LEFT, TOP = 660, 70, 130, 18


def changes(hu: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    window = np.clip((hu + 160) / 400, 0, 1) * 255
    return {
        "as it is": hu,
        "offset lost": hu + 1024,
        "rescaled twice": hu - 1024,
        "slope doubled": (hu + 1024) * 2 - 1024,
        "windowed 0…255": np.rint(window).astype(np.float32),
    }


def panel(name: str, values: NDArray[np.float32], top: int) -> str:
    """One histogram, counts to the square root, with marks where air and water belong."""
    edges = np.arange(LOW, HIGH + BIN, BIN)
    counts = np.sqrt(np.histogram(values, edges)[0])
    heights = counts / max(1.0, counts.max()) * HEIGHT
    scale = WIDTH / (HIGH - LOW)
    parts = [
        f'<text x="{LEFT - 10}" y="{top + HEIGHT - 28}" text-anchor="end" font-weight="bold">{name}</text>'
    ]
    found = judge_array(values).verdict
    colour = {"plausible": "#2a7d2a", "unknown": "#9a6b00", "implausible": "#b3261e"}[found]
    parts.append(
        f'<text x="{LEFT - 10}" y="{top + HEIGHT - 10}" text-anchor="end" fill="{colour}">{found}</text>'
    )
    for edge, height in zip(edges[:-1], heights, strict=True):
        if height > 0:
            x, width = LEFT + (edge - LOW) * scale, BIN * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{top + HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
            )
    for place, label in ((-1000, "air −1000"), (0, "water 0")):
        x = LEFT + (place - LOW) * scale
        parts.append(f'<path d="M{x:.1f} {top - 4}V{top + HEIGHT}" stroke="#b3261e" stroke-dasharray="3 3"/>')
        if top < 40:
            parts.append(
                f'<text x="{x:.1f}" y="{top - 7}" text-anchor="middle" fill="#b3261e">{label}</text>'
            )
    parts.append(f'<path d="M{LEFT} {top + HEIGHT}h{WIDTH}" stroke="#555"/>')
    return "".join(parts)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        phantom.write(PhantomSpec(rows=256, columns=256, slices=5, padding=None), folder)
        hu = hounsfield.load(folder, clamp=False, dtype="float32").array
    rows = changes(hu)
    step = HEIGHT + 16
    body = "".join(
        panel(name, values, TOP + 14 + number * step) for number, (name, values) in enumerate(rows.items())
    )
    height = TOP + 20 + step * len(rows)
    out = Path(__file__).parent / "images" / "trust-histograms.svg"
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 10} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/><g fill="#456">{body}</g></svg>\n',
        "utf-8",
    )


if __name__ == "__main__":
    main()
