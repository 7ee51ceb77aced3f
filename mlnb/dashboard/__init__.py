"""The local dashboard of `mlnb ui`: read-only pages of runs, comparisons, studies, registry and models."""
