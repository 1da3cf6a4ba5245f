"""The story as one HTML file: pictures inside, no scripts, one step a sheet of paper."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from s2dash.dashboard.language import language, t
from s2dash.dashboard.story import StoryStep
from s2dash.dashboard.story_pictures import StoryPicture

_STYLE = """
:root { color-scheme: light; }
body { font: 17px/1.55 Georgia, "Noto Serif", "DejaVu Serif", serif; color: #1a2b24; background: #fff; margin: 0 auto;
  max-width: 78rem; padding: 2.5rem 2rem; }
h1, h2, .step, table, figcaption, .credit { font-family: system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.5rem; line-height: 1.25; margin: .1rem 0 1rem; }
.about { color: #4a5a53; margin: 0; }
.badge { display: inline-block; background: #fff1dc; color: #7a4a00; border-radius: .4rem; padding: .1rem .6rem;
  font: 600 .85rem system-ui, sans-serif; }
section { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 2.5rem; align-items: start;
  border-top: 1px solid #d8e0dc; margin-top: 2.5rem; padding-top: 2.5rem; }
section.plain { grid-template-columns: minmax(0, 44rem); }
.step { color: #1b7f5c; font-weight: 600; font-size: .95rem; margin: 0; }
p { margin: 0 0 .85rem; }
figure { margin: 0; }
figure img { width: 100%; height: auto; border-radius: .5rem; display: block; }
figcaption { color: #4a5a53; font-size: .9rem; margin-top: .5rem; }
.legend { margin: .5rem 0 0; padding: 0; }
.legend li { display: inline-block; margin: 0 1.1rem .25rem 0; }
.legend i, td i { display: inline-block; width: .9em; height: .9em; border-radius: .2em;
  border: 1px solid rgba(0, 0, 0, .35); vertical-align: -.08em; margin-right: .4em; }
table { border-collapse: collapse; font-size: .95rem; margin: 0 0 1rem; width: 100%; }
th, td { text-align: left; border-bottom: 1px solid #d8e0dc; padding: .3rem .5rem .3rem 0; vertical-align: top; }
th:not(:first-child).n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.credit { color: #4a5a53; font-size: .85rem; margin: .4rem 0 0; }
@media (max-width: 760px) { section { grid-template-columns: minmax(0, 1fr); gap: 1.2rem; } }
@page { size: A4 landscape; margin: 14mm; }
@media print {
  body { font-size: 11.5pt; padding: 0; max-width: none; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { break-before: page; break-inside: avoid; border: 0; margin: 0; padding: 0; gap: 12mm; }
  header + section { break-before: auto; margin-top: 6mm; }
  header + section figure img { max-height: 120mm; }
  figure img { width: auto; max-width: 100%; max-height: 140mm; }
}
""".strip()


def story_page(steps: Sequence[StoryStep], *, title: str, simulated: bool, sources: str = "") -> str:
    """All steps as one file that needs nothing else, not even the internet.

    Args:
        steps: The story, as `story_steps` tells it.
        title: What the map is called; of people, so it is escaped.
        simulated: Whether it shows no real place, which is then said under the title.
        sources: Whose data it shows.
    """
    heading = t("story.heading")
    badge = f'<p><span class="badge">{escape(t("story.simulated"))}</span></p>' if simulated else ""
    body = "".join(_section(number, step) for number, step in enumerate(steps, start=1))
    credit = f'<p class="credit">{escape(t("story.sources", sources=sources))}</p>' if sources else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language()}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{escape(heading)}</h1><p class="about">{escape(title)}</p>{badge}{credit}</header>'
        f"{body}</body></html>\n"
    )


def picture_address(picture: StoryPicture) -> str:
    """The picture itself as an address."""
    return f"data:image/{picture.kind};base64,{b64encode(picture.content).decode('ascii')}"


def legend_list(picture: StoryPicture) -> str:
    """What the colours of a picture mean, as HTML; empty where there is nothing to say."""
    if not picture.legend:
        return ""
    items = "".join(f"<li>{_chip(colour)}{escape(name)}</li>" for name, colour in picture.legend)
    return f'<ul class="legend">{items}</ul>'


def _section(number: int, step: StoryStep) -> str:
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in step.sentences)
    after = "".join(f"<p>{escape(sentence)}</p>" for sentence in step.after)
    figure = ""
    if step.picture is not None:
        figure = (
            f'<figure><img src="{picture_address(step.picture)}" width="{step.picture.width}" '
            f'height="{step.picture.height}" alt="{escape(step.picture.caption)}">'
            f"<figcaption>{escape(step.picture.caption)}{legend_list(step.picture)}</figcaption></figure>"
        )
    words = (
        f'<div><p class="step">{escape(t("story.step", number=number))}</p><h2>{escape(step.title)}</h2>'
        f"{said}{story_table(step)}{after}</div>"
    )
    return f'<section class="{"" if figure else "plain"}">{figure}{words}</section>'


def story_table(step: StoryStep) -> str:
    """The table of a step as HTML, with the colours of its rows; empty where there is none."""
    if not step.rows:
        return ""
    last = len(step.head) - 1
    figures = {place for place in range(1, last + 1) if all(_is_figure(row[place]) for row in step.rows)}

    def cells(row: Sequence[str], kind: str) -> str:
        numeric = [' class="n"' if place in figures else "" for place in range(len(row))]
        return "".join(f"<{kind}{mark}>{escape(cell)}</{kind}>" for mark, cell in zip(numeric, row, strict=True))

    marks = step.marks or [""] * len(step.rows)
    body = "".join(f"<tr>{_marked(cells(row, 'td'), mark)}</tr>" for row, mark in zip(step.rows, marks, strict=True))
    return f"<table><thead><tr>{cells(step.head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _chip(colour: str) -> str:
    return f'<i style="background:{escape(colour)}"></i>'


def _marked(cells: str, colour: str) -> str:
    return cells.replace("<td>", f"<td>{_chip(colour)}", 1) if colour else cells


def _is_figure(cell: str) -> bool:
    return not cell or cell[0].isdigit()
