"""Two-digit addition, answered from the ones upwards."""
