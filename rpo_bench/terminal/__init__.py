"""What is said to users: styles are ours, texts are never commands."""
