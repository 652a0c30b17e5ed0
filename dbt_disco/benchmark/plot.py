"""The results as a picture: time against native, a bar per program and engine."""

from __future__ import annotations

from pathlib import Path

from dbt_disco.benchmark.results import Results

BAR = 0.8
"""Height of the bars of one program together; the distance between programs is 1."""


def draw(results: Results, path: Path) -> None:
    """Write a bar chart with a logarithmic axis; the file's suffix, .svg or .png, decides the format."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "dbt-disco"
    from matplotlib import pyplot

    engines = [engine for engine in results.engines if engine.key != "native" and not engine.absent]
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.16 * len(results.programs) * max(len(engines), 1)))
    for index, engine in enumerate(engines):
        places, values = [], []
        for row, program in enumerate(results.programs):
            ratio = results.figures(program, engine).against_native
            if ratio is not None:
                places.append(row + (index + 0.5) * BAR / len(engines) - BAR / 2)
                values.append(ratio)
        axes.barh(places, values, height=BAR / len(engines), label=engine.title)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("time as a multiple of native (shorter is better)")
    labels = [f"{program.name} ({program.program_class})" for program in results.programs]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
