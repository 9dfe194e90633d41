"""The experiments of the founding paper, Bonfanti, Bruno and Cipriani (arXiv 2402.03864).

`toys` measures the kernels and Hessians of wide networks, `theory` computes the limits that the
theorems name, `results` reduces trainings (their recipes are in `pinnzoo.catalog`) to the arrays
that are stored, `figures` draws them, and `claims` and `page` put them into numbers and words.
`scripts/reproduce_paper.py` runs all of it, and `docs/paper.md` shows it.
"""
