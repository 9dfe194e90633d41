"""Pretrained physics-informed neural networks."""
