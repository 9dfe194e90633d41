"""The recipes of the published entries, and the published results beside them. No JAX."""
