"""One-file HTML reports: headings, tables, pictures and curves, everything inlined."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3ea; --mark: #0b6bcb; --paper: #ffffff; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: var(--ink);
       background: #f4f6f8; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 36px 64px; background: var(--paper); }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 38px 0 8px; padding-top: 14px; border-top: 1px solid var(--line); }
p.lead { color: var(--soft); margin: 0 0 12px; } p { margin: 8px 0; max-width: 78ch; }
img { max-width: 100%; display: block; margin: 10px 0; border-radius: 4px; }
figure { margin: 14px 0; } figcaption { color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; margin: 12px 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .text { text-align: left; } th { color: var(--soft); font-weight: 600; font-size: 13px; }
.wide { position: relative; left: 50%; transform: translateX(-50%); width: max-content; max-width: calc(100vw - 40px);
        overflow-x: auto; padding: 0 12px; background: var(--paper); font-size: 12.5px; }
.wide td { white-space: nowrap; } .wide td.text + td.text { white-space: normal; min-width: 11em; }
td.best { font-weight: 700; color: var(--mark); }
dl { margin: 12px 0; max-width: 78ch; font-size: 13.5px; } dt { font-weight: 600; } dd { margin: 0 0 6px; color: var(--soft); }
pre { background: #f4f6f8; padding: 12px 14px; overflow-x: auto; font-size: 12.5px; border-radius: 4px; max-height: 420px; }
.warn { border-left: 4px solid #d97706; padding: 6px 12px; background: #fff7ed; }
"""

WIDE = 11  # columns from which a table may be wider than the page's text
_NUMBER = re.compile(r"[+\-−–]?\d|–$")  # what stands right-aligned: 0.1 ± 0.2, +0.3, 1/3, –


@dataclass
class Report:
    """A page built from top to bottom; ``write`` saves it as one file that needs nothing else."""

    title: str
    lead: str = ""
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, warn: bool = False) -> None:
        """A paragraph; ``warn`` marks it as something the reader must not miss."""
        self.parts.append(f"<p{' class=warn' if warn else ''}>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        """Preformatted text, such as a config."""
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Any]], best: Sequence[int] = ()) -> None:
        """A table; in the columns named by ``best`` the largest number stands out, if the numbers differ as shown."""
        peaks = {}
        for column in best:
            numbers = [round(row[column], 3) for row in rows if isinstance(row[column], int | float)]  # as shown
            peaks[column] = max(numbers) if len(set(numbers)) > 1 else None
        words = {
            i for row in rows for i, value in enumerate(row) if isinstance(value, str) and not _NUMBER.match(value)
        }
        head = "".join(f"<th{_classes(i in words)}>{html.escape(name)}</th>" for i, name in enumerate(header))
        body = "".join(
            "<tr>"
            + "".join(_cell(value, i in words, _is_peak(value, peaks.get(i))) for i, value in enumerate(row))
            + "</tr>"
            for row in rows
        )
        whole = f"<table><tr>{head}</tr>{body}</table>"
        self.parts.append(f"<div class=wide>{whole}</div>" if len(header) >= WIDE else whole)

    def definitions(self, texts: Mapping[str, str]) -> None:
        """Names, and what each stands for."""
        rows = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in texts.items())
        self.parts.append(f"<dl>{''.join(rows)}</dl>")

    def image(self, picture: np.ndarray | bytes | Path, caption: str = "") -> None:
        """A picture: RGB uint8 (H, W, 3), encoded PNG/JPEG bytes, or a file."""
        if isinstance(picture, np.ndarray):
            from PIL import Image

            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG", quality=90)
            data = buffer.getvalue()
        else:
            data = picture.read_bytes() if isinstance(picture, Path) else picture
        kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
        encoded = base64.b64encode(data).decode()
        alt = html.escape(caption)
        note = f"<figcaption>{alt}</figcaption>" if caption else ""
        self.parts.append(f'<figure><img alt="{alt}" src="data:image/{kind};base64,{encoded}">{note}</figure>')

    def curves(
        self,
        panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
        caption: str = "",
        levels: Mapping[str, float] | None = None,
    ) -> None:
        """Line plots side by side: panel title → series name → (steps, values). Empty panels are left out.

        ``levels`` draws a horizontal line, by panel title.
        """
        drawn = {title: series for title, series in panels.items() if any(len(x) for x, _ in series.values())}
        if drawn:
            self.image(draw_curves(drawn, levels), caption)

    def write(self, path: Path) -> Path:
        """Save the page."""
        lead = f"<p class=lead>{html.escape(self.lead)}</p>" if self.lead else ""
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{html.escape(self.title)}</title><style>{STYLE}</style>"
            f"<main><h1>{html.escape(self.title)}</h1>{lead}{''.join(self.parts)}</main></html>"
        )
        path.write_text(page, encoding="utf-8")
        return path


def _is_peak(value: Any, peak: float | None) -> bool:
    return peak is not None and isinstance(value, int | float) and round(value, 3) == peak


def _cell(value: Any, words: bool, best: bool) -> str:
    text = "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"<td{_classes(words, best)}>{html.escape(text)}</td>"


def _classes(words: bool, best: bool = False) -> str:
    names = ["text"] * words + ["best"] * best
    return f' class="{" ".join(names)}"' if names else ""


def draw_curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    levels: Mapping[str, float] | None = None,
) -> bytes:
    """Draw panels of curves (at most three a row) as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.1 * rows), dpi=110, layout=ConstrainedLayoutEngine(h_pad=GAP))
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns))).ravel()
    for axis, (title, series) in zip(axes, panels.items(), strict=False):
        for i, (name, (steps, values)) in enumerate(series.items()):
            if len(steps):
                axis.plot(
                    steps,
                    values,
                    label=name,
                    color=COLORS[i % len(COLORS)],
                    lw=1.6,
                    marker="o" if len(steps) < 12 else None,
                    ms=3,
                )
        if levels and title in levels:
            axis.axhline(levels[title], color=COLORS[4], lw=1, ls=(0, (4, 3)), zorder=0)
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("step", fontsize=9)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    for axis in axes[len(panels) :]:
        axis.remove()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


GAP = 0.12  # inches between rows of panels: a title must not stick to the label above it
COLORS = ("#0b6bcb", "#d9480f", "#2b8a3e", "#862e9c", "#5b6875", "#c2255c")
