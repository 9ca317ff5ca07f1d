"""Objectives on a world small enough to write down: policies are tables, so that the optimum is known."""
