"""Terms of ours and their standard equivalents. A pattern matches whole words in any case."""

import re


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)


# (what is found in text, what to use instead)
TERMS: list[tuple[re.Pattern[str], str]] = [
    (_words(pattern), instead)
    for pattern, instead in [
        (r"in charge|takes? charge", "current champion, promote to champion"),
        (r"duel(?:s|ed|ing)?", "champion/challenger evaluation"),
        (r"met in service|(?:rows|values) met|(?:what|rows that) (?:was|were) met", "logged production data"),
        (r"experiences?", "logged production data"),
        (r"gather(?:s|ed|ing)?", "collect training data"),
        (r"(?<!labeled )feedback", "labeled feedback, labels"),
        (r"unheard", "logged, not returned"),
        (r"rivals?", "traffic routing (shadow, canary)"),
        (r"turns? (?:of )?the loop|(?:a|each|every|one|next|last) turn", "monitoring cycle"),
        (r"(?:un)?seal(?:s|ed|ing)?", "held-out, load the held-out test set"),
        (r"looks? at the test set|test[- ]looks?|looks? (?:so far|taken|left)", "test-set access"),
        (r"asked wrongly", "usage error"),
        (r"asked|told", "requested, reported"),
        (r"said|says?|saying", "result, returns, states"),
        (r"(?<!ask and )tells?(?: apart)?|telling", "reports, shows, distinguishes"),
        (r"place of (?:a|the|each|every|its) trial|trials?['’]s? places?", "trial index"),
        (r"deals?(?! with)|dealt(?! with)", "repeat (of a cross-validation)"),
        (r"beside", "next to, in addition to; other folds"),
        (r"listens? to", "feature importance"),
        (r"disturbs? (?:it|the model|a model)|what disturbs", "robustness"),
        (r"for whom (?:it|the model|a model) is worse", "slices and fairness"),
        (r"(?<!real )(?<!hello )(?:small |made-up )?worlds?", "synthetic data, simulated stream"),
        (r"made[- ]up(?! worlds?)", "synthetic"),
        (r"mend(?:s|ed|ing)?", "recovered, fixed"),
        (r"watching", "monitoring"),
        (r"puts? up with|putting up with", "tolerance, tolerate"),
        (r"as a rule", "usually"),
        (r"no more(?! than)", "no longer"),
        (r"of (?:one['’]s|its|their|your|his|her|my|our|whose|the [\w-]+['’]s?) own", "custom, separate, its"),
        (r"so many", "n, a number of"),
        (r"machine code", "compiled trees, JIT compilation"),
        (r"tree assembly|assembly of (?:a |the )?trees?", "code generation"),
        (r"neighbours?|neighbouring", "neighbors, knn"),
        (r"penalty|penalties", "alpha or l2, as in scikit-learn; regularization"),
        (r"giveaways?|giv(?:es?|ing|en) (?:the target|it) away", "target leakage"),
        (r"stamps?", "timestamp"),
        (r"doubles", "duplicates"),
        (r"wants? no", "does not need"),
        (r"proofs?", "parity check"),
        (r"proven|proves?|proved", "verified"),
        (r"(?<!head)rooms?(?! for)", "package"),
        (r"(?:this|the|our|whole) house", "code base"),
    ]
]  # fmt: skip

# Names of classes, functions, arguments and variables.
NAMES = {
    "Told": "TrialResult",
    "Held": "OutOfFold",
    "Asked": "RequestOptions",
    "Live": "LoadedModel",
    "Followed": "ModelReloader",
    "Ahead": "Prefetcher",
    "Orders": "StageInputs",
    "HandStage": "InteractiveStage",
    "decide_outcome": "monitoring_verdict",
    "facts": "metadata",
    "found": "what the value is: matches, result",
    "known": "what the value is: schema, existing",
    "said": "what the value is: response, output",
    "told": "what the value is: reported, messages",
    "place": "what the value is: trial_index, path, position",
    "asked": "what the value is: options, request",
    "made": "what the value is: outputs, created",
    "kept": "what the value is: snapshots, retained",
}

# Values: texts that are nothing but this word, as families and detectors are called.
VALUES = {
    "neighbours": "'knn'",
    "levels": "'mean_level'",
    "tails": "'ecod'",
    "density": "'lof'",
    "nearest": "'knn_distance'",
    "penalty": "'alpha' or 'l2'",
    "said": "what the value is",
    "told": "what the value is",
}

# (file or pattern, term in lower case, why it is right there)
ALLOWED: list[tuple[str, str, str]] = [
    ("nbs/stages/40_features.ipynb", "known", "the parameter: columns that are known ahead"),
    ("nbs/*", "rooms", "the number of rooms of a house is a column of example data"),
    ("mlnb/serving/edge/onnx/*", "gather", "the ONNX operator Gather"),
    ("nbs/methods/encoding/*", "gather", "the ONNX operator Gather"),
    ("tests/*", "gather", "the ONNX operator Gather"),
    ("mlnb/serving/batch/job_checkpoints.py", "found", "the key of a line in the quarantine file"),
    ("mlnb/serving/runtime/*", "found", "a problem states what was found and what was expected"),
    ("nbs/methods/contracts/gates.ipynb", "found", "a gate line states what was found and what is required"),
    ("nbs/methods/decisions/decision_thresholds.ipynb", "nearest", "a method of numpy's quantile"),
    ("nbs/methods/contracts/responses.ipynb", "found", "a problem states what was found and what was expected"),
]
