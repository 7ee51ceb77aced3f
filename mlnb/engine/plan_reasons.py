"""Reasons why a stage runs: what has changed since it last finished."""

from collections.abc import Mapping

from mlnb.engine.run_records import KeyInputs

MODULES = 3  # number of changed modules that a reason names


def explain(old: KeyInputs, new: KeyInputs) -> str:
    """Return the differences between the inputs of two stage keys, as `lags changed: [1, 24] -> [1, 2, 24]`."""
    reasons = []
    for name, value in new.parameters.items():
        before = old.parameters.get(name)
        if before is None:
            reasons.append(f"parameter {name} is new")
        elif before != value:
            reasons.append(f"{name} changed: {before.show()} -> {value.show()}")
    if old.code != new.code:
        reasons.append("its code changed")
    if old.contract != new.contract:
        reasons.append("its reads or writes changed")
    modules = _differing(old.modules, new.modules)
    if len(modules) > MODULES:
        reasons.append(f"{', '.join(modules[:MODULES])} and {len(modules) - MODULES} more modules changed")
    else:
        reasons += [f"{name} changed" for name in modules]
    reasons += [
        f"{name} {old.libraries.get(name, 'none')} -> {new.libraries.get(name, 'none')}"
        for name in _differing(old.libraries, new.libraries)
    ]
    if old.python != new.python:
        reasons.append(f"Python {old.python} -> {new.python}")
    old_inputs = {name: digest for name, digest in old.inputs.items() if name in new.inputs}
    changed = _differing(old_inputs, new.inputs)
    if changed:
        reasons.append(f"input{'s' * (len(changed) > 1)} {', '.join(changed)} changed")
    return "; ".join(reasons)


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
