"""What entries say of themselves: their cards, `MODEL_CARDS.md` and the tables of the README."""
