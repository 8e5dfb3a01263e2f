"""Why a network predicts as it does."""
