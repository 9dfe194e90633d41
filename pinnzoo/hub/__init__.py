"""Entries on the Hugging Face Hub: bringing them here, and putting them there."""
