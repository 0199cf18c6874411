"""Networks as files for other runtimes, each loaded there and compared with PyTorch before it is kept."""
