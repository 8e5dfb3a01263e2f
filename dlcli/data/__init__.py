"""A file → columns → splits → encoded rows, with everything fitted on the training rows alone."""
