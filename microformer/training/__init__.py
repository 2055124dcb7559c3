"""Training a model on a dataset: settings, optimizers, the loop, and the run directory that it writes."""
