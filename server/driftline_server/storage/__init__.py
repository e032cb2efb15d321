"""The cupboard: runs in much, everything else in little."""
