"""The YAML head of a card, which the Hugging Face Hub reads: library, license, tags, results."""

from pinnzoo.cards.summary import Summary

RESULTS = {
    "relative_l2_error": "Relative L2 error",
    "max_error": "Maximum absolute error",
}
"""Figures that the Hub lists, with their names there."""


def front_matter(summary: Summary, problem_title: str, *, own: bool = True) -> str:
    """The head with its two lines of dashes; without results where there is no reference.

    Args:
        summary: The entry's recipe, metrics and pictures.
        problem_title: What cards call the problem.
        own: Whether the entry is one of this collection, whose licence is stated.
    """
    # The Hub's client takes a moment to import, which only printing a card is worth.
    from huggingface_hub import EvalResult, ModelCardData

    recipe, metrics = summary.recipe, summary.metrics
    tags = [
        "pinn",
        "physics-informed",
        "pde",
        recipe.problem.replace("_", "-"),
        recipe.architecture.replace("_", "-"),
        *(phase.optimizer.replace("_", "-") for phase in recipe.phases),
        "jax",
        "flax",
        "nnx",
        "orbax",
        *(["ntk"] if "ntk" in metrics else []),
    ]
    results = [
        EvalResult(
            task_type="other",
            task_name="PDE solving",
            dataset_type=recipe.problem,
            dataset_name=problem_title,
            metric_type=key,
            metric_name=name,
            metric_value=float(f"{metrics[key]:.6e}"),
        )
        for key, name in RESULTS.items()
        if key in metrics
    ]
    data = ModelCardData(
        library_name="pinnzoo",
        license="apache-2.0" if own else None,
        tags=list(dict.fromkeys(tags)),
        model_name=summary.name if results else None,
        eval_results=results or None,
    )
    # "\n" on every system: a card is the same text wherever it is printed.
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---"
