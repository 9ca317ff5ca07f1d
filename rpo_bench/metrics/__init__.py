"""What is measured on samples: one file per metric family."""
