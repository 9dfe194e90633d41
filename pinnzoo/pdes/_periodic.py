"""Periodic conditions of second-order equations, for every problem in a periodic square."""

from collections.abc import Iterable

from pinnzoo import Box, Condition, periodic


def periodic_square(domain: Box, components: Iterable[str]) -> tuple[Condition, ...]:
    """Values agree on opposite faces along x and y, and so do slopes across these faces.

    Args:
        domain: With the coordinates x and y, and others.
        components: What is periodic.
    """
    return tuple(
        condition
        for c in components
        for condition in (
            periodic(domain, c, "xy", f"periodic_{c}"),
            periodic(domain, f"{c}_x", "x", f"periodic_{c}_x"),
            periodic(domain, f"{c}_y", "y", f"periodic_{c}_y"),
        )
    )
