"""Draw the README's picture from the stored entries of Burgers' equation.

python scripts/make_readme_figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import pinnzoo
from pinnzoo.evaluation import require_reference

OUT = Path(__file__).resolve().parent.parent / "docs" / "burgers.png"
ENTRIES = {"Adam": "burgers-mlp-adam", "Levenberg-Marquardt": "burgers-mlp-levenberg_marquardt"}
COLORS = {"Adam": "tab:orange", "Levenberg-Marquardt": "tab:blue"}
SHAPE = (201, 401)


def main() -> None:
    """Draw and save."""
    pinnzoo.enable_x64()
    entries = {label: pinnzoo.load(name) for label, name in ENTRIES.items()}
    problem = next(iter(entries.values())).problem
    points = problem.domain.grid(SHAPE)
    reference = require_reference(problem)(points)
    errors = {label: np.abs(entry.predict(points) - reference) for label, entry in entries.items()}
    low, high = 1e-11, max(float(error.max()) for error in errors.values())
    extent = (0.0, 1.0, -1.0, 1.0)

    figure = Figure(figsize=(11, 3.1), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.2])

    def image(axis, values, **style):
        return axis.imshow(
            values.reshape(SHAPE).T, origin="lower", extent=extent, aspect="auto", **style
        )

    shown = image(axes[0], reference, cmap="RdBu_r", vmin=-1, vmax=1)
    figure.colorbar(shown, ax=axes[0], ticks=[-1, 0, 1])
    axes[0].set(title="Burgers, solution $u$", ylabel="$x$", yticks=[-1, 0, 1])
    for axis, (label, error) in zip(axes[1:3], errors.items(), strict=True):
        shown = image(axis, np.maximum(error, low), cmap="magma", norm=LogNorm(low, high))
        axis.set(title=f"|error|\n{label}", yticks=[-1, 0, 1], yticklabels=[])
    figure.colorbar(shown, ax=axes[2])
    for axis in axes[:3]:
        axis.set(xlabel="$t$", xticks=[0, 0.5, 1])
    for label, entry in entries.items():
        history = entry.history
        seconds, error = history["seconds"], history["relative_l2_error"]
        axes[3].semilogy(seconds, error, color=COLORS[label], label=label)
    axes[3].set(
        title="5 × 20 tanh, CPU",
        xlabel="training time, s",
        ylabel="relative $L^2$ error",
        ylim=(error.min() / 3, 40),
    )
    axes[3].grid(alpha=0.3)
    axes[3].legend(frameon=False, fontsize=8, loc="upper right")
    figure.savefig(OUT, dpi=130, metadata={"Software": None})
    print(OUT.name, OUT.stat().st_size)


if __name__ == "__main__":
    main()
