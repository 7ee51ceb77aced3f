"""A bento as an image: built by BentoML with whichever engine is there, run by nobody in particular, listed in full."""
