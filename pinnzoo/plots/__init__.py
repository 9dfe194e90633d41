"""Pictures of an entry and of several."""
