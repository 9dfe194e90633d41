"""Numerical solutions for problems without a closed form."""
