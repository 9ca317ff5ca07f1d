"""Builds the static leaderboard from results folders."""
