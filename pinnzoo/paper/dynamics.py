"""Eigenvalues of the training dynamics after training, first against second order (figure 2b).

In gradient flow the residual vector obeys `∂_t r = -J Jᵀ r` (lemma 3.2 of the paper), whose rates
are the squares s² of the singular values of J. Under Gauss-Newton they are the eigenvalues of
`J (JᵀJ)^† Jᵀ`, zero or one (theorem 4.2), and under Levenberg-Marquardt with damping λ they are
s² / (s² + λ).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from pinnzoo import zoo
from pinnzoo.catalog.experiments import FIGURES
from pinnzoo.collocation import draw_points
from pinnzoo.entry import Entry
from pinnzoo.objective import assemble
from pinnzoo.paper.toys import Arrays, Keep, compute_anew

TRAINED = ("Adam", "LM")
"""Labels of figure 4a whose networks are looked at."""

POINTS = {"equation": 2000, "conditions": 200}


def singular_values(entry: Entry) -> Float[np.ndarray, " k"]:
    """Of the weighted Jacobian `∂r_i/∂θ / √n` of a trained network, in descending order."""
    recipe, problem = entry.recipe, entry.problem
    points = draw_points(problem, POINTS, recipe.sampler, recipe.seed, 0)
    theta, objective, _ = assemble(problem, entry.model, points, recipe.weights)
    return np.linalg.svd(np.asarray(objective.jacobian(theta)), compute_uv=False)


def last_damping(history: Mapping[str, np.ndarray]) -> float:
    """The damping with which the last step was taken that was accepted."""
    return float(history["damping"][history["accepted"] > 0][-1])


def sweep_dynamics(keep: Keep = compute_anew) -> Arrays:
    """Singular values of both networks, and the damping of LM."""

    def compute() -> Arrays:
        entries = {label: zoo.load(FIGURES["4a"][label].name) for label in TRAINED}
        found = {f"{label}.singular_values": singular_values(e) for label, e in entries.items()}
        return {**found, "damping": np.array(last_damping(entries["LM"].history))}

    return keep("dynamics", compute)
