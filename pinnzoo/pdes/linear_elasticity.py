"""Linear elasticity: `(λ + μ) ∇(∇·u) + μ Δu + f = 0` on x, y ∈ [0, 1], plane strain.

A square under body forces f, held in different ways on its four sides, with λ = 1, μ = 1/2: the
displacement is `u = cos 2πx sin πy` along x and `v = y⁴ sin πx` along y. The lower side is fixed,
u = v = 0; the upper side does not slide, u = 0, and has the normal stress of the solution; on the
other two v = 0, and the normal stress is zero.

Source: Haghighat, Raissi, Moure, Gomez and Juanes, "A physics-informed deep learning framework for
inversion and surrogate modeling in solid mechanics" (Comput. Methods Appl. Mech. Eng. 379, 2021,
arXiv 2003.02751), section 4, with Q = 4, and an example of DeepXDE; both have the stresses as
further unknowns. Known difficulty: two equations coupled through mixed derivatives, and conditions
on stresses, which are derivatives, beside those on displacements.
"""

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
    check_constraints,
    check_positive,
    constrained,
    dirichlet,
)


def linear_elasticity(lam: float = 1.0, mu: float = 0.5, constraints: str = "soft") -> Problem:
    """The static displacement of an elastic square.

    Args:
        lam: λ, the first of Lamé's constants, stress.
        mu: μ, the shear modulus, stress.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = y (1 - y) N₁(x, y)`, `v = x (1 - x) y N₂(x, y)`; those on stresses stay residuals.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(lam=lam, mu=mu)
    check_constraints(constraints)
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0))
    pi, modulus = jnp.pi, lam + 2 * mu

    def solution(z: Point) -> Values:
        x, y = z
        return jnp.stack(
            [jnp.cos(2 * pi * x) * jnp.sin(pi * y), y**4 * jnp.sin(pi * x)],
        )

    def equation(field: Field, z: Point) -> Scalar:
        x, y = z
        u_xx, u_yy, v_xy = field(z, "u_xx u_yy v_xy")
        # Of the solution: second derivatives of u, and the mixed one of v.
        wave = pi**2 * jnp.cos(2 * pi * x) * jnp.sin(pi * y)
        mixed = 4 * pi * y**3 * jnp.cos(pi * x)
        force = (4 * modulus + mu) * wave - (lam + mu) * mixed
        return modulus * u_xx + mu * u_yy + (lam + mu) * v_xy + force

    def equation_v(field: Field, z: Point) -> Scalar:
        x, y = z
        v_xx, v_yy, u_xy = field(z, "v_xx v_yy u_xy")
        mixed = -2 * pi**2 * jnp.sin(2 * pi * x) * jnp.cos(pi * y)
        curved = (mu * pi**2 * y**4 - modulus * 12 * y**2) * jnp.sin(pi * x)
        force = curved - (lam + mu) * mixed
        return mu * v_xx + modulus * v_yy + (lam + mu) * u_xy + force

    def stress(across: str, along: str, amplitude: float, name: str, side: str) -> Condition:
        """`(λ + 2μ) ∂u/∂x + λ ∂v/∂y = amplitude sin πx` on a side, or with x and y exchanged."""

        def residual(field: Field, z: Point) -> Scalar:
            normal, other = field(z, f"{across} {along}")
            return modulus * normal + lam * other - amplitude * jnp.sin(pi * z[0])

        coord = across[-1]
        bound = domain.bounds(coord)[side == "right"]
        return Condition(name, residual, domain.face(coord, bound), f"{across} {along}")

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        return network * jnp.stack([y * (1 - y), x * (1 - x) * y])

    return Problem(
        name="linear_elasticity",
        title=f"Linear elasticity, λ = {lam:g}, μ = {mu:g}",
        domain=domain,
        components=("u", "v"),
        equation=equation,
        system=(Condition("equation_v", equation_v, domain),),
        **constrained(
            constraints,
            ansatz,
            met=[
                dirichlet(domain, "u", "y", "left"),
                dirichlet(domain, "u", "y", "right"),
                dirichlet(domain, "v", "y", "left"),
                dirichlet(domain, "v", "x", "left"),
                dirichlet(domain, "v", "x", "right"),
            ],
            kept=[
                stress("u_x", "v_y", 0.0, "stress_x_left", "left"),
                stress("u_x", "v_y", 0.0, "stress_x_right", "right"),
                stress("v_y", "u_x", 4 * modulus, "stress_y_right", "right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(101, 101),
        arguments={"lam": lam, "mu": mu, "constraints": constraints},
        citation="arXiv:2003.02751",
    )
