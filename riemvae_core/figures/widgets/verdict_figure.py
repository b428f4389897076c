"""Chapter 9's live figure: the laws of the study in one of its cells, and what the chosen one draws."""

import math
import textwrap
from typing import Any

import torch
import traitlets

from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets import verdict_data as data
from riemvae_core.figures.widgets.checks import one_of
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module

#: the parts that laws have, in the order of the figure's rows
KINDS = {
    "reference": "not in the comparison",
    "ignoring": "laws that ignore the balls",
    "geometric": "laws of the balls",
    "null": "null experiments",
    "variant": "other numbers of a law",
}
FILLED = ("take", "nearest", "alike", "features", "beaten", "null", "variant", "reference")
SHOWN = 6  # draws in the still picture


def verdict(see: str = "", try_this: str = ""):
    """The study of laws in one of its cells: scores with intervals, the law to take, what a law draws.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``cell`` (``data``, ``duplicates``, ``size``, ``model``, ``price``; some of them are enough, the
    others stay), ``score``, ``features`` (the feature net) and ``law`` are read, set and observed; ``shown``
    is read and observed: each score of the law as mean, low and high over trainings, and how the law stands.
    Stands in chapter 9. A value that the study does not have raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.verdict()
        >>> shown.law = "zero steps"  # copies of the training set
        >>> shown.shown["standing"], shown.shown["novelty"][0] < 0.1
        ('copies', True)
    """
    props = _props()
    return figure("verdict", Verdict, props, lambda: _still(props), see, try_this)


def _run(cell: dict[str, Any]) -> dict[str, Any]:
    return next(run for run in data.runs() if data.cell_of(run) == cell)


def _start() -> dict[str, Any]:
    """The largest cell of the first data set whose draws are shipped, at its lowest price."""
    runs = [run for run in data.runs() if data.sheet_of(run)] or data.runs()
    run = max(runs, key=lambda run: (run["size"], -run["price"]))
    law = _take(run) or run["laws"][0]["law"]
    return {"cell": data.cell_of(run), "score": data.SCORES[0], "features": run["features"][0], "law": law}


def _take(run: dict[str, Any]) -> str | None:
    return run["decision"] and run["decision"]["simplest"]


def _props() -> dict[str, Any]:
    runs, sheets = [], data.sheets()
    for run in data.runs():
        key = data.sheet_of(run)
        own = {"cell": data.cell_of(run), "features": run["features"], "take": _take(run)}
        own |= {"reason": data.reason(run), "sheet": key and data.SHEET + key}
        runs.append(own | ({"shape": sheets[key]["shape"], "columns": sheets[key]["columns"]} if key else {}))
    about = data.settings()["laws"]
    standings = [
        {"key": key, "word": word, "said": said, "filled": key in FILLED}
        for key, (word, said) in data.STANDINGS.items()
    ]
    return {
        "runs": runs,
        "laws": [{"law": law, **about[law]} for law in data.laws()],
        "kinds": KINDS,
        "standings": standings,
        "scores": list(data.SCORES),
        "novelty": data.settings()["novelty"],
        "asset": data.NUMBERS,
        "start": _start(),
    }


class Verdict(LiveFigure):
    """The figure in a notebook; its traits are described in ``verdict``."""

    _esm = notebook_module("verdict")
    cell = traitlets.Dict(help="a cell of the study").tag(sync=True)
    score = traitlets.Unicode(help="the score that bars show").tag(sync=True)
    features = traitlets.Unicode(help="the feature net").tag(sync=True)
    law = traitlets.Unicode(help="the chosen law").tag(sync=True)
    shown = traitlets.Dict(help="the chosen law's scores, and how it stands", read_only=True)

    def __init__(self, props: dict[str, Any]) -> None:
        self._now = props["start"]["cell"]
        super().__init__(props, data.asset_names(), **props["start"])
        self._write_shown()

    @traitlets.validate("cell")
    def _check_cell(self, proposal) -> dict[str, Any]:
        cell = self._now | proposal["value"]
        return one_of("cell", cell, [data.cell_of(run) for run in data.runs()])

    @traitlets.validate("score")
    def _check_score(self, proposal) -> str:
        return one_of("score", proposal["value"], data.SCORES)

    @traitlets.validate("features")
    def _check_features(self, proposal) -> str:
        return one_of("features", proposal["value"], self._entered()["features"])

    @traitlets.validate("law")
    def _check_law(self, proposal) -> str:
        return one_of("law", proposal["value"], [own["law"] for own in self._entered()["laws"]])

    def _entered(self) -> dict[str, Any]:
        """The cell that law and net are for: the new one, where a page sends all three in one message."""
        new = self._now | self.cell
        return next((run for run in data.runs() if data.cell_of(run) == new), None) or _run(self._now)

    @traitlets.observe("cell")
    def _enter(self, change) -> None:
        """Keep net and law where the new cell has them."""
        self._now = change["new"]
        run = _run(self._now)
        if self.features not in run["features"]:
            self.features = run["features"][0]
        if self.law not in [own["law"] for own in run["laws"]]:
            self.law = _take(run) or run["laws"][0]["law"]
        self._write_shown()

    @traitlets.observe("features", "law")
    def _follow(self, _change) -> None:
        self._write_shown()

    def _write_shown(self) -> None:
        run = self._entered()
        found = data.scores(run, self.law, self.features) | {"standing": data.standing(run, self.law)}
        self.set_trait("shown", found)


def _still(props: dict[str, Any]) -> str:
    start = props["start"]
    run, (score, net) = _run(start["cell"]), (start["score"], start["features"])
    about = data.settings()["laws"]
    ordered = [own["law"] for kind in KINDS for own in run["laws"] if about[own["law"]]["kind"] == kind]
    three = {law: data.scores(run, law, net)[score] for law in ordered}
    low, high = 0.8 * min(v[0] for v in three.values()), 1.1 * max(v[2] for v in three.values())

    def x(value: float) -> float:
        return 200 + 210 * math.log(max(value, low) / low) / math.log(high / low)

    cell = start["cell"]
    where = f"{cell['data']}, {cell['size'] or 'all'} images, {cell['model']}, price {cell['price']:g}"
    lines = [f"{score} ({net}); {where}", *textwrap.wrap(data.reason(run), 100)]
    parts = [stills.text(8, 18 + 20 * i, line) for i, line in enumerate(lines)]
    words, y, kind = [], 8 + 20 * len(lines), ""
    for law in ordered:
        if about[law]["kind"] != kind:
            kind, y = about[law]["kind"], y + 22
            parts.append(stills.text(8, y, KINDS[kind]).replace("<text ", '<text fill="var(--rv-muted)" '))
        y += 18
        state, (mean, lo, hi) = data.standing(run, law), three[law]
        strong = ' font-weight="600"' if law == _take(run) else ""
        parts += [
            _row(x(mean), x(lo), x(hi), y, state in FILLED),
            stills.text(20, y, data.name_of(law)).replace("<text ", f"<text{strong} "),
            stills.text(470, y, stills.number(mean, 1), "end"),
            stills.text(480, y, data.STANDINGS[state][0]),
        ]
        words.append(f"{data.name_of(law)} {stills.number(mean, 1)} {data.STANDINGS[state][0]}".strip())
    label = f"Laws of codes, {lines[0]}. {data.reason(run)} {'; '.join(words)}."
    return stills.still(760, y + 20, label, *parts, *_pictures(run, start["law"]))


def _row(mean: float, low: float, high: float, y: int, filled: bool) -> str:
    fill, dash = ("var(--rv-ink)", "") if filled else ("none", ' stroke-dasharray="3 3"')
    return (
        f'<path d="M{low:.1f} {y - 5}H{high:.1f}" stroke="var(--rv-ink)"{dash}/>'
        f'<circle cx="{mean:.1f}" cy="{y - 5}" r="4" fill="{fill}" stroke="var(--rv-ink)"/>'
    )


def _pictures(run: dict[str, Any], law: str) -> list[str]:
    """Draws of a law in two columns, each beside the training image that is nearest to it."""
    key = data.sheet_of(run)
    if key is None or law not in data.sheets()[key]["near"]:
        return []
    near = data.sheets()[key]["near"]
    first = list(near).index(law) * len(near[law])
    places = [place for k in range(SHOWN) for place in (first + k, near[law][k])]
    tiles, parts = torch.from_numpy(data.tiles(key, places)), [stills.text(560, 92, "draws and nearest")]
    for k, tile in enumerate(tiles):
        parts.append(stills.picture(560 + 66 * (k % 2), 102 + 66 * (k // 2), 60, tile[None], ""))
    return parts
