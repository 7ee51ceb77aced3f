"""Forecasts of a window by models of that window alone, as numpy computes them; `forecasts.py` reads this file."""

import math
from itertools import pairwise
from typing import NamedTuple

ALPHAS = (0.05, 0.15, 0.3, 0.5, 0.7, 0.9)
GAMMAS = (0.0, 0.05, 0.2, 0.5)
TRENDS = ((0.0, 0.0), (0.02, 0.98), (0.1, 0.98), (0.3, 0.98), (0.02, 0.9), (0.1, 0.9), (0.3, 0.9))
FIRST_TREND = (0.05, 0.95)
NEAR = (-0.1, 0.0, 0.1)
TREND_COST = 4.0
LEAST_BASE, LEAST_INDEX = 1e-9, 1e-3
THETA_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
THETAS = (1.0, 1.5, 2.0, 3.0, 6.0)
BURN_IN = 3
DEMAND_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.4)
REAL = (1.1, 1.4, 1.7, 1.95)
GROWTH = (-0.05, -0.02, -0.01, -0.004, 0.0, 0.004, 0.01, 0.02, 0.05)
NEAR_REAL, NEAR_GROWTH, LEAST_CHANGE, RECENT = 0.12, 0.35, 0.001, 3
CRITICAL, REACH = 1.645, 3.0
Numbers = list[float]


class State(NamedTuple):
    """Level, trend and the index of each position in the cycle from the end of the window."""

    level: float
    trend: float
    cycle: Numbers


class Line(NamedTuple):
    """The state of the Theta model: level, and mean, intercept and slope of the line, and the power of 1 - alpha."""

    level: float
    mean: float
    intercept: float
    slope: float
    power: float


def local_forecasts(window: Numbers, season: int, horizon: int) -> dict[str, Numbers]:
    """Return the forecast of each step by each model; the window may begin with missing values."""
    values = [v for v in window if v == v]
    unit = running([abs(v) for v in values])[-1] / max(len(values), 1)
    unit = unit if unit > 0 else 1.0
    scaled = [v / unit for v in values]
    low, high = min(scaled), max(scaled)
    multiplicative = low > 0
    models = {"holt_winters": holt_winters(scaled, season, horizon, False)}
    ratio = holt_winters(scaled, season, horizon, True) if multiplicative else models["holt_winters"]
    models["holt_winters_multiplicative"] = ratio
    neutral = [1.0 if multiplicative else 0.0] * season
    indices = seasonal_indices(scaled, season, multiplicative) if has_season(scaled, season) else neutral
    spread = [indices[(len(scaled) - 1 - at) % season] for at in range(len(scaled))]
    plain = [v / index if multiplicative else v - index for v, index in zip(scaled, spread, strict=True)]
    adjusted = {"damped_trend": holt_winters(plain, 1, horizon, False), "theta": theta(plain, horizon)}
    adjusted["ces"] = complex_smoothing(plain, 1, horizon)
    ahead = [indices[-step % season] for step in range(1, horizon + 1)]
    for name, steps in adjusted.items():
        models[name] = [v * i if multiplicative else v + i for v, i in zip(steps, ahead, strict=True)]
    seasonal = complex_smoothing(scaled, season, horizon) if season > 1 and len(scaled) > 2 * season else []
    models["seasonal_ces"] = [c if s != s else s for c, s in zip(models["ces"], seasonal or models["ces"], strict=True)]
    five = [steps for name, steps in models.items() if name != "ces"]
    models["local_median"] = [sorted(steps)[2] for steps in zip(*five, strict=True)]
    models["tsb"] = [tsb(scaled)] * horizon
    reach = REACH * (high - low)
    least, most = (max(low - reach, 0.0) if low >= 0 else low - reach), high + reach
    return {name: [min(max(v, least), most) * unit for v in steps] for name, steps in models.items()}


def running(values: Numbers) -> Numbers:
    """Return the sums of the first 0, 1, 2, ... values."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums


def has_season(values: Numbers, season: int) -> bool:
    """Return whether the autocorrelation of the differences at the lag of the season is significant."""
    count = len(values) - 1
    if season < 2 or count <= 2 * season:
        return False
    change = [b - a for a, b in pairwise(values)]
    mean = running(change)[-1] / count
    centred = [v - mean for v in change]
    variance = running([v * v for v in centred])[-1]
    total = correlation = 0.0
    for lag in range(1, season + 1):
        total += correlation * correlation if lag > 1 else 0.0
        shared = running([b * a for a, b in zip(centred, centred[lag:], strict=False)])[-1]
        correlation = shared / (variance if variance > 0 else 1.0)
    return abs(correlation) > CRITICAL * math.sqrt((1.0 + 2.0 * total) / count) and variance > 0


def seasonal_indices(values: Numbers, season: int, multiplicative: bool) -> Numbers:
    """Return the seasonal indices by position from the end; neutral up to two cycles."""
    width, half, even = len(values), season // 2, season % 2 == 0
    if season < 2 or width <= 2 * season:
        return [1.0 if multiplicative else 0.0] * season
    sums, total, count = running(values), [0.0] * season, [0] * season
    for at in range(half, width - half):
        position = (width - 1 - at) % season
        average = sums[at + half + 1 - even] - sums[at - half]
        if even:
            average = (average + (sums[at + half + 1] - sums[at - half + 1])) / 2.0
        average = average / season
        total[position] += values[at] / average if multiplicative else values[at] - average
        count[position] += 1
    index = [t / max(c, 1) for t, c in zip(total, count, strict=True)]
    mean = running(index)[-1] / season
    return [i / mean if multiplicative else i - mean for i in index]


def smooth(
    values: Numbers, state: State, parameters: tuple[float, float, float, float], multiplicative: bool, backwards: bool
) -> tuple[State, float]:
    """Return the state after all values, and the sum of squared one-step errors."""
    alpha, beta, gamma, phi = parameters
    level, trend, cycle = state.level, state.trend, list(state.cycle)
    squares, season, width = 0.0, len(cycle), len(values)
    for at in range(width - 1, -1, -1) if backwards else range(width):
        position = (width - 1 - at) % season
        damped, index = phi * trend, cycle[position]
        base = level + damped
        if multiplicative:
            base = max(base, LEAST_BASE)
            forecast = base * index
            error = values[at] - forecast
            relative, step = error / forecast, error / index
            squares += relative * relative
            cycle[position] = max(index + gamma * (error / base), LEAST_INDEX)
        else:
            step = values[at] - (base + index)
            squares += step * step
            if season > 1:
                cycle[position] = index + gamma * step
        level, trend = base + alpha * step, damped + beta * step
    return State(level, trend, cycle), squares


def holt_winters(values: Numbers, season: int, horizon: int, multiplicative: bool) -> Numbers:
    """Return the forecasts of exponential smoothing with a damped trend and a season."""
    count = len(values)
    indices = seasonal_indices(values, season, multiplicative)
    seasonal = 1.0 if count > 2 * season and season > 1 else 0.0
    cycle = zip(reversed(values), indices, strict=False)
    newest = [v / i if multiplicative else v - i for v, i in cycle]
    mean = running(newest)[-1] / max(len(newest), 1)

    def fit(alpha: float, ratio: float, gamma: float, phi: float) -> tuple[State, float]:
        parameters = (alpha, alpha * ratio, (1.0 - alpha) * gamma, phi)
        first, _ = smooth(values, State(mean, 0.0, indices), parameters, multiplicative, True)
        start = State(first.level + first.trend, -first.trend, first.cycle)
        return smooth(values, start, parameters, multiplicative, False)

    pairs = [(a, g * seasonal) for a in ALPHAS for g in (GAMMAS if season > 1 else GAMMAS[:1])]
    alpha, gamma = pairs[smallest([fit(a, FIRST_TREND[0], g, FIRST_TREND[1])[1] for a, g in pairs])]
    costs = [1.0 + TREND_COST * (ratio > 0) / max(count, 8) for ratio, _ in TRENDS]
    errors = [fit(alpha, ratio, gamma, phi)[1] * c for (ratio, phi), c in zip(TRENDS, costs, strict=True)]
    ratio, phi = TRENDS[smallest(errors)]
    near = [(a, g) for a in NEAR for g in (NEAR if season > 1 else (0.0,))]
    step = 2.0 * max(gamma, 0.3)
    pairs = [(min(max(alpha + a, 0.01), 0.99), min(max(gamma + g * step, 0.0), 0.95) * seasonal) for a, g in near]
    alpha, gamma = pairs[smallest([fit(a, ratio, g, phi)[1] for a, g in pairs])]
    state, _ = fit(alpha, ratio, gamma, phi)
    out, damped, rise = Numbers(), state.trend, 0.0
    for ahead in range(1, horizon + 1):
        damped = damped * phi
        rise = rise + damped
        index = state.cycle[-ahead % len(state.cycle)]
        out.append((state.level + rise) * index if multiplicative else state.level + rise + index)
    return out


def smallest(errors: Numbers) -> int:
    """Return the index of the first smallest error; NaN counts as infinite."""
    ranked = [math.inf if error != error else error for error in errors]
    return ranked.index(min(ranked))


def expect(line: Line, alpha: float, weight: float) -> float:
    """Return the one-step forecast of the Theta model."""
    extra = line.power * line.intercept + (1.0 - line.power * (1.0 - alpha)) / alpha * line.slope
    return line.level + weight * extra


def update(line: Line, value: float, count: int, alpha: float) -> Line:
    """Return the state after one more value, with it the given number of values."""
    level = alpha * value + (1.0 - alpha) * line.level
    slope = ((count - 2.0) * line.slope + 6.0 * (value - line.mean) / count) / (count + 1.0) if count > 1 else 0.0
    mean = ((count - 1.0) * line.mean + value) / count
    intercept = mean - (count + 1.0) / 2.0 * slope
    return Line(level, mean, intercept, slope, line.power * (1.0 - alpha))


def theta(values: Numbers, horizon: int) -> Numbers:
    """Return the forecasts of the dynamic optimized Theta model."""
    pairs = [(alpha, 1.0 - 1.0 / each) for alpha in THETA_ALPHAS for each in THETAS]
    lines, errors = list[Line](), Numbers()
    for alpha, weight in pairs:
        line, squares = Line(values[0], 0.0, 0.0, 0.0, 1.0), 0.0
        for count, value in enumerate(values, 1):
            if count > BURN_IN:
                error = value - expect(line, alpha, weight)
                squares += error * error
            line = update(line, value, count, alpha)
        lines.append(line)
        errors.append(squares)
    best = smallest(errors)
    line, (alpha, weight), out = lines[best], pairs[best], Numbers()
    for step in range(1, horizon + 1):
        out.append(expect(line, alpha, weight))
        line = update(line, out[-1], len(values) + step, alpha)
    return out


def smooth_complex(
    values: Numbers, levels: Numbers, potentials: Numbers, real: float, growth: float, backwards: bool
) -> float:
    """Change level and potential of each position by all values; return the sum of squared one-step errors."""
    squares, season, width = 0.0, len(levels), len(values)
    rest, gain, push = 1.0 - real, real - 1.0 - growth, real + 1.0 + growth
    for at in range(width - 1, -1, -1) if backwards else range(width):
        position = (width - 1 - at) % season
        level, potential = levels[position], potentials[position]
        error = values[at] - level
        squares += error * error
        levels[position] = level + growth * potential + gain * error
        potentials[position] = level + rest * potential + push * error
    return squares


def complex_smoothing(values: Numbers, season: int, horizon: int) -> Numbers:
    """Return the forecasts of complex exponential smoothing; a season needs more than two cycles."""
    newest = values[::-1][: season if season > 1 else RECENT]
    first = newest if season > 1 else [running(newest)[-1] / len(newest)]

    def fit(real: float, growth: float) -> tuple[Numbers, Numbers, float]:
        levels, potentials = list(first), [level / real for level in first]
        smooth_complex(values, levels, potentials, real, growth, True)
        return levels, potentials, smooth_complex(values, levels, potentials, real, growth, False)

    pairs = [(real, growth) for real in REAL for growth in GROWTH]
    best, slope = pairs[smallest([fit(*pair)[2] for pair in pairs])]
    change = max(abs(slope), LEAST_CHANGE / NEAR_GROWTH)
    near = [(r, g) for r in (-NEAR_REAL, 0.0, NEAR_REAL) for g in (-NEAR_GROWTH, 0.0, NEAR_GROWTH)]
    pairs = [(best + r, slope + g * change) for r, g in near]
    real, growth = pairs[smallest([fit(*pair)[2] for pair in pairs])]
    (levels, potentials, _), out = fit(real, growth), Numbers()
    for step in range(1, horizon + 1):
        position = -step % season
        level, potential = levels[position], potentials[position]
        out.append(level)
        levels[position], potentials[position] = level + growth * potential, level + (1.0 - real) * potential
    return out


def tsb(values: Numbers) -> float:
    """Return the forecast of intermittent demand: its probability times its size."""
    demand = [v for v in values if v != 0]
    mean, share = running(demand)[-1] / max(len(demand), 1), len(demand) / max(len(values), 1)
    ends, errors = Numbers(), Numbers()
    for by_size in DEMAND_ALPHAS:
        for by_chance in DEMAND_ALPHAS:
            size, chance, squares = mean, share, 0.0
            for value in values:
                error = value - chance * size
                squares += error * error
                if value != 0:
                    size = size + by_size * (value - size)
                chance = chance + by_chance * ((value != 0) - chance)
            ends.append(chance * size)
            errors.append(squares)
    return ends[smallest(errors)]
