"""What the benchmarks compare with: the recipes that a person would write without mlnb."""
