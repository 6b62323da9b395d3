"""Is it good? Fits only clones of what it is given, and never draws a picture."""
