"""Losses, optimizers, schedules, metrics, the step, the loop, checkpoints."""
