"""What is learnt and measured: a folder per task, described by its task.yaml."""
