"""What a traced function does with its inputs: which of them it needs, and what lies beyond them.

JAX moves an index past the end of an array to its last element without a word, so that `z[2]` of
two coordinates is `z[1]`. In a program such an index is still there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Sources: TypeAlias = frozenset[int]
"""Positions of the inputs that a value depends on."""

NONE: Sources = frozenset()

CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2")
"""Primitives whose program has their own inputs, one by one."""


@dataclass
class Flow:
    """What is found out about a program.

    Attributes:
        needed: Of each output, the inputs that it depends on.
        beyond: Indices past the end of what depends on an input, each with the length of its axis.
    """

    needed: list[Sources] = field(default_factory=list)
    beyond: list[tuple[int, int]] = field(default_factory=list)


def flow_of(closed: Any) -> Flow:
    """Follow a program from its inputs to its outputs; nothing is computed but indices.

    Args:
        closed: What `jax.make_jaxpr` returns.

    Example:
        >>> flow_of(jax.make_jaxpr(lambda z: z[2])(jnp.zeros(2))).beyond
        [(2, 2)]
    """
    found = Flow()
    program = closed.jaxpr
    sources = [frozenset({k}) for k in range(len(program.invars))]
    found.needed = _follow(closed, sources, [None] * len(sources), found)[0]
    return found


def _follow(
    closed: Any, sources: Sequence[Sources], numbers: Sequence[Any], found: Flow
) -> tuple[list[Sources], list[Any]]:
    """Sources and, as far as they are known, numbers of a program's outputs.

    Args:
        closed: The program; one without constants of its own may be open.
        sources: Of its inputs.
        numbers: Of its inputs, None where one is not known.
        found: Where indices are noted.
    """
    program = getattr(closed, "jaxpr", closed)
    comes: dict[Any, Sources] = dict(zip(program.invars, sources, strict=True))
    known: dict[Any, Any] = dict(zip(program.invars, numbers, strict=True))
    known |= dict(zip(program.constvars, getattr(closed, "consts", ()), strict=False))
    # A literal is a number itself, and cannot be looked up.
    source = lambda v: NONE if hasattr(v, "val") else comes.get(v, NONE)  # noqa: E731
    number = lambda v: v.val if hasattr(v, "val") else known.get(v)  # noqa: E731
    for equation in program.eqns:
        own = [source(v) for v in equation.invars]
        given = [number(v) for v in equation.invars]
        if own and own[0]:
            found.beyond += _beyond(equation, given)
        values: Sequence[Any] = [None] * len(equation.outvars)
        inner = _programs(equation)
        for within in inner:
            count = len(getattr(within, "jaxpr", within).invars)
            if equation.primitive.name in CALLS and count == len(own):
                values = _follow(within, own, given, found)[1]
            else:
                _follow(within, [NONE.union(*own)] * count, [None] * count, found)
        if not inner and all(n is not None for n in given):
            values = [_number(equation, given)]
        for k, out in enumerate(equation.outvars):
            comes[out] = NONE.union(*own)
            known[out] = values[k] if k < len(values) else None
    return [source(v) for v in program.outvars], [number(v) for v in program.outvars]


def steps_of(program: Any) -> Iterator[Any]:
    """All steps of a program, each followed by those of the programs in it."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for within in _programs(equation):
            yield from steps_of(within)


def _programs(equation: Any) -> list[Any]:
    """The programs that are parameters of a step."""
    found = []
    for value in equation.params.values():
        each = value if isinstance(value, tuple | list) else (value,)
        found += [v for v in each if hasattr(getattr(v, "jaxpr", v), "eqns")]
    return found


def _number(equation: Any, given: Sequence[Any]) -> Any:
    """What a step makes of whole numbers, as an index goes through; None for other steps."""
    name, params = equation.primitive.name, equation.params
    if any(np.asarray(n).dtype.kind not in "iub" for n in given):
        return None
    simple: Mapping[str, Any] = {
        "lt": np.less,
        "add": np.add,
        "sub": np.subtract,
        "select_n": lambda which, no, yes: np.where(which, yes, no),
        "convert_element_type": np.asarray,
        "squeeze": lambda n: np.squeeze(n, tuple(params["dimensions"])),
        "reshape": lambda n: np.reshape(n, params["new_sizes"]),
        "concatenate": lambda *each: np.concatenate(each, params["dimension"]),
    }
    if name in simple:
        return simple[name](*given)
    if name == "broadcast_in_dim":
        shape = np.ones(len(params["shape"]), int)
        shape[list(params["broadcast_dimensions"])] = np.shape(given[0])
        return np.broadcast_to(np.reshape(given[0], shape), params["shape"])
    return None


def _beyond(equation: Any, given: Sequence[Any]) -> list[tuple[int, int]]:
    """Indices of a step that JAX moves into the array, as they were written.

    An index that may lie outside by the choice of a mode with a value for that is none of them.
    """
    name, params = equation.primitive.name, equation.params
    shape = equation.invars[0].aval.shape
    if name == "dynamic_slice":
        axes, starts = range(len(shape)), given[1:]
    elif name == "gather" and "FILL" not in str(params["mode"]) and given[1] is not None:
        axes = params["dimension_numbers"].start_index_map
        starts = np.moveaxis(np.asarray(given[1]), -1, 0)
    else:
        return []
    found = []
    for axis, start in zip(axes, starts, strict=False):
        room = shape[axis] - params["slice_sizes"][axis]
        for index in () if start is None else np.ravel(start):
            if not 0 <= index <= room:
                # JAX has added the length to one that was counted from the end.
                found.append((int(index) - shape[axis] * (index < 0), int(shape[axis])))
    return found
