"""The hub and servers, and what is never told of either."""
