"""What each command does: one plain function a command; nothing here prints."""
