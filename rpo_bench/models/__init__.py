"""Language models and reward models: loading, sampling, log-probabilities and training."""
