"""Entries on disk: folder, figures, records, and the network that a recipe describes."""
