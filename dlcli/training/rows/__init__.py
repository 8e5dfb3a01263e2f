"""Rows on the device, batch by batch."""
