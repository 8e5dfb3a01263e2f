"""Layer specs → shapes → one `nn.Module`."""
