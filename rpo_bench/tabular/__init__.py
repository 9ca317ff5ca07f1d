"""Objectives on a tabular problem: policies are tables, so the optimum is known exactly."""
