"""`dlcli init`: what is learned of the data → a recipe → a commented config."""
