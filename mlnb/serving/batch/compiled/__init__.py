"""Code generation for batch scoring: compiled trees, linear models and ensembles, equal to the model bit for bit.

Two copies of a model are never trusted on principle: `verification` compares the compiled model with the original on
rows of the job, and a difference of one bit puts the job back on the original, with a line in the log. The guide
`nbs/guides/compiled_trees.ipynb` draws the data layout and gives the measurements.

How the modules depend on each other, from the bottom up:

    llvm_functions       LLVM IR as text to functions that ctypes can call
    threshold_ranks      thresholds of a booster to ranks: integers of one or two bytes that compare the same
    tree_layout          what both tree layouts share: the record, the cache line, aligned memory
    small_tree_ir        IR: ranking of numbers, and scoring that evaluates every node for many rows at once
    rank_buckets         ranks by buckets of equal width, and their IR, for thresholds that are not crowded
    small_tree_layout    its data: nodes in post-order, groups of eight trees
    large_tree_ir        IR: traversal of one tree after the other, 16 rows at a time
    large_tree_layout    its data: nodes of eight bytes, siblings next to each other
    linear_ir            IR: sums of a linear model, term by term
    compiled_trees       a LightGBM booster, by the faster of both layouts
    compiled_linear      a linear model
    compiled_models      either of them, and ensembles of them
    verification         comparison with the original on the job's own rows
    faster_predictions   a model with compiled trees, for the many predictions of an evaluation
"""
