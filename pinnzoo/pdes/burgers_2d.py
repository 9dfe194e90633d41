"""Burgers in 2D: `u_t + u u_x + v u_y = ν Δu`, `v_t + u v_x + v v_y = ν Δv`, an oblique front.

On t, x, y ∈ [0, 1] with ν = 1/100. The front `s = 1 / (1 + exp((4y - 4x - t) / 32ν))` crosses the
square, and `u = 3/4 - s/4`, `v = 3/4 + s/4`. The values at t = 0 and on the four sides are those of
the solution.

Source: Fletcher, "Generating exact solutions of the two-dimensional Burgers' equations" (Int. J.
Numer. Methods Fluids 3, 1983), by the transformation of Cole and Hopf. This is not "Burgers2d" of
PINNacle (arXiv 2306.08827), which starts from random fields in a file on a periodic square of
length 4 with ν = 1/1000 and has no closed form. Known difficulty: two unknowns that carry each
other, and a front whose width falls with ν.
"""

import jax
import jax.numpy as jnp

from pinnzoo import (
    Box,
    Condition,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_positive,
    initial,
    prescribe,
)


def burgers_2d(viscosity: float = 0.01) -> Problem:
    """The coupled Burgers equations in two dimensions; conditions as residuals.

    Args:
        viscosity: ν, length²/time.

    Raises:
        RecipeError: The viscosity is not positive.
    """
    check_positive(viscosity=viscosity)
    domain = Box("txy", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def solution(z: Point) -> Values:
        t, x, y = z
        front = jax.nn.sigmoid((4 * x - 4 * y + t) / (32 * viscosity)) / 4
        return jnp.stack([0.75 - front, 0.75 + front])

    def carried(component: str, field: Field, z: Point) -> Scalar:
        slopes = " ".join(f"{component}_{s}" for s in ("t", "x", "y", "xx", "yy"))
        u, v, c_t, c_x, c_y, c_xx, c_yy = field(z, f"u v {slopes}")
        return c_t + u * c_x + v * c_y - viscosity * (c_xx + c_yy)

    def at_start(k: int, x: Scalar, y: Scalar) -> Scalar:
        return solution(jnp.stack([jnp.zeros_like(x), x, y]))[k]

    sides = domain.boundary("xy")
    return Problem(
        name="burgers_2d",
        title=f"Burgers equations in 2D, ν = {viscosity:g}",
        domain=domain,
        components=("u", "v"),
        equation=lambda field, z: carried("u", field, z),
        system=(Condition("equation_v", lambda field, z: carried("v", field, z), domain),),
        conditions=tuple(
            condition
            for k, c in enumerate("uv")
            for condition in (
                initial(domain, c, lambda x, y, k=k: at_start(k, x, y)),
                prescribe(sides, c, lambda z, k=k: solution(z)[k], f"boundary_{c}"),
            )
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(17, 121, 121),
        arguments={"viscosity": viscosity},
        citation="doi:10.1002/fld.1650030302",
    )
