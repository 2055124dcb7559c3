"""The loss curve of a run as a PNG, for a model card: a picture shows on any page, a script does not."""

import io
import math
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE, SCALE = (760, 380), 2  # drawn larger and shrunk, which smooths the lines
LEFT, TOP, RIGHT, BOTTOM = 64, 24, 24, 52
PAPER, INK, FAINT = "#ffffff", "#3d4451", "#e6e8ec"
SERIES = (("loss", "training", "#9db4e8"), ("val_loss", "validation", "#d9480f"))

Point = tuple[float, float]


def loss_picture(metrics: Sequence[dict[str, Any]]) -> bytes | None:
    """A PNG of training and validation loss over the steps, or ``None`` when fewer than two points are known."""
    curves = [
        (label, colour, [(float(row["step"]), float(row[name])) for row in metrics if _has(row, name)])
        for name, label, colour in SERIES
    ]
    points = [point for _, _, curve in curves for point in curve]
    if len({step for step, _ in points}) < 2:
        return None
    image = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12 * SCALE)
    to_pixel = _axes(draw, font, points)
    for number, (label, colour, curve) in enumerate(curves):
        if curve:
            pixels = [to_pixel(point) for point in curve]
            if len(pixels) > 1:
                draw.line(pixels, fill=colour, width=2 * SCALE, joint="curve")
            x, y = (LEFT + 12 + 110 * number) * SCALE, 6 * SCALE
            draw.line([(x, y + 7 * SCALE), (x + 22 * SCALE, y + 7 * SCALE)], fill=colour, width=3 * SCALE)
            draw.text((x + 28 * SCALE, y), label, fill=INK, font=font)
    written = io.BytesIO()
    image.resize(SIZE, Image.Resampling.LANCZOS).save(written, "PNG", optimize=True)
    return written.getvalue()


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between ``low`` and ``high``, roughly ``about`` of them."""
    raw = max((high - low) / about, 1e-9)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, int(high / step + 1e-9) + 1)]


def _axes(draw: ImageDraw.ImageDraw, font: Any, points: Sequence[Point]) -> Any:
    """Draw the grid with its numbers, and return the function from (step, loss) to a place in the picture."""
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    low, high = min(losses), max(losses)
    margin = 0.05 * (high - low) or 0.5
    low, high = max(0.0, low - margin), high + margin
    width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM

    def to_pixel(point: Point) -> Point:
        across = (point[0] - min(steps)) / (max(steps) - min(steps))
        down = (high - point[1]) / (high - low)
        return (LEFT + across * width) * SCALE, (TOP + down * height) * SCALE

    for loss in ticks(low, high, 5):
        _, y = to_pixel((min(steps), loss))
        draw.line([(LEFT * SCALE, y), ((LEFT + width) * SCALE, y)], fill=FAINT, width=SCALE)
        draw.text(((LEFT - 8) * SCALE, y), f"{loss:g}", fill=INK, font=font, anchor="rm")
    for step in ticks(min(steps), max(steps), 6):
        x, _ = to_pixel((step, low))
        draw.text((x, (TOP + height + 6) * SCALE), f"{step:,.0f}", fill=INK, font=font, anchor="mt")
    draw.text((SIZE[0] // 2 * SCALE, (SIZE[1] - 8) * SCALE), "step", fill=INK, font=font, anchor="mb")
    draw.text((8 * SCALE, TOP // 4 * SCALE), "loss", fill=INK, font=font)
    return to_pixel


def _has(row: dict[str, Any], name: str) -> bool:
    return all(isinstance(row.get(one), (int, float)) and math.isfinite(row[one]) for one in ("step", name))
