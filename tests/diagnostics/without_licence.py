"""A module of a package that ends Python where it is imported."""

raise SystemExit("no licence")
