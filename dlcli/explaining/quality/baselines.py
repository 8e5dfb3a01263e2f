"""The linear baseline: ridge regression and logistic regression on the encoded features."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dlcli.data.fields import Arrays
from dlcli.explaining.quality.minimising import minimise

MAX_CODES = 100  # of an embedded column that get their own weight
_MAX_NUMBERS = 20_000_000  # features of the rows that a linear model is fitted to
_MAX_COMPONENTS = 1_000  # of a ridge regression
_MIN_RIDGE_ROWS = 100
_MAX_STEPS = 400  # of a logistic regression, over all penalties
_MIN_STEPS = 40
_MAX_WORK = 30_000_000_000  # multiplications of these steps
# What a CPU core of 2020 does: work is counted, not timed, so that a report is the same twice.
_PRODUCTS = 1e10  # per second
_LOGIT_SECONDS = 2.5e-8  # of one class's exponential and gradient, in a step
_RIDGE_PENALTIES = np.logspace(-6, 2, 33)  # per row
_ROUGH, _FINE = 1e-6, 1e-11  # relative decrease of the loss in the last step
_PENALTIES = (1.0, 0.1, 0.01, 0.001, 0.0001)  # added to the mean log loss, strongest first


@dataclass(frozen=True)
class OneHot:
    """Which numbers of a field are codes, and which codes have their own weight."""

    field: str
    slot: int
    codes: np.ndarray


@dataclass(frozen=True)
class LinearModel:
    """A model whose outputs are weighted sums of the encoded features."""

    one_hots: tuple[OneHot, ...]
    weights: np.ndarray  # [numbers, outputs]
    bias: np.ndarray  # [outputs]
    penalty: float  # on the squared weights of standardised numbers, relative to a row's mean loss
    num_rows: int  # that it was fitted on
    is_settled: bool = True  # whether the fit converged

    def outputs(self, inputs: Arrays) -> np.ndarray:
        """Return logits [rows, classes] or scaled numbers [rows, 1], float64."""
        num_parts = max(1, sum(array.size for array in inputs.values()) // 2_000_000)
        rows = np.array_split(np.arange(_num_rows(inputs)), num_parts)
        numbers = (expand(_taken(inputs, part), self.one_hots) for part in rows)
        return np.concatenate([part @ self.weights + self.bias for part in numbers])


def choose_codes(inputs: Arrays) -> tuple[OneHot, ...]:
    """Choose the most frequent codes in each slot of an integer field for their own weights."""
    found = []
    for name, array in inputs.items():
        if np.issubdtype(array.dtype, np.integer):
            for slot in range(array.shape[1]):
                codes, sizes = np.unique(array[:, slot], return_counts=True)
                frequent = codes[np.argsort(-sizes, kind="stable")][:MAX_CODES]
                found.append(OneHot(name, slot, np.sort(frequent)))
    return tuple(found)


def expand(inputs: Arrays, one_hots: tuple[OneHot, ...]) -> np.ndarray:
    """Return encoded rows as numbers, float64 [rows, numbers]: codes as columns of 0 and 1."""
    numbers = [array for array in inputs.values() if np.issubdtype(array.dtype, np.floating)]
    blocks = [inputs[hot.field][:, hot.slot, None] == hot.codes for hot in one_hots]
    return np.concatenate([*numbers, *blocks], axis=1, dtype=np.float64)


def _width(inputs: Arrays, one_hots: tuple[OneHot, ...]) -> int:
    """Return how many numbers `expand` makes of a row."""
    arrays = inputs.values()
    widths = [array.shape[1] for array in arrays if np.issubdtype(array.dtype, np.floating)]
    return sum([*widths, *(len(hot.codes) for hot in one_hots)])


def _num_rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def _taken(inputs: Arrays, rows: np.ndarray) -> Arrays:
    return {name: array[rows] for name, array in inputs.items()}


def fit_ridge(
    inputs: Arrays,
    targets: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
    *,
    seconds: float = math.inf,
) -> LinearModel:
    """Fit a ridge regression; the penalty is the one with the least leave-one-out error.

    `inputs` [rows, numbers] of each field, `targets` [rows] scaled numbers, `weights` [rows] of
    the squared errors. All errors are had at once from the leverages (Allen 1974, PRESS). Rows are
    sampled where all of them would take more than about so many seconds.
    """
    one_hots = choose_codes(inputs)
    width, num_rows = _width(inputs, one_hots), _num_rows(inputs)
    max_rows = min(_MAX_NUMBERS // max(1, width), _affordable_rows(width, num_rows, seconds))
    if min(width, num_rows) > _MAX_COMPONENTS:
        max_rows = min(max_rows, _MAX_COMPONENTS)
    rows = _sample_rows(num_rows, max_rows, np.random.default_rng(seed))
    counts = _relative(weights, rows)
    numbers, center, scale = _standardise(expand(_taken(inputs, rows), one_hots), counts)
    mean = float(np.average(targets[rows].astype(np.float64), weights=counts))
    wanted = targets[rows] - mean
    if counts is not None:  # times the roots of the weights: their squares are what is weighted
        numbers *= np.sqrt(counts)[:, None]
        wanted *= np.sqrt(counts)
    directions, strengths = _principal(numbers)
    scores = numbers @ directions  # [rows, components]
    pulls = scores.T @ wanted
    shrunk = 1 / (strengths[:, None] + len(rows) * _RIDGE_PENALTIES)  # [components, penalties]
    fitted = scores @ (shrunk * pulls[:, None])
    leverages = (1 if counts is None else counts[:, None]) / len(rows) + scores**2 @ shrunk
    left_out = (wanted[:, None] - fitted) / np.maximum(1 - leverages, 1e-9)
    best = int((left_out**2).mean(axis=0).argmin())
    weights = directions @ (shrunk[:, best] * pulls)
    return _unscaled(
        LinearModel(
            one_hots,
            weights[:, None],
            np.array([mean]),
            float(_RIDGE_PENALTIES[best]),
            num_rows=len(rows),
        ),
        center,
        scale,
    )


def _affordable_rows(width: int, num_rows: int, seconds: float) -> int:
    """Return how many rows a ridge regression of so many numbers can take."""
    while num_rows > _MIN_RIDGE_ROWS:
        components = min(width, num_rows)
        if num_rows * width * (2 * components + 100) + 12 * components**3 <= seconds * _PRODUCTS:
            break
        num_rows = max(_MIN_RIDGE_ROWS, 3 * num_rows // 4)
    return num_rows


def fit_logistic(
    inputs: Arrays,
    targets: np.ndarray,
    seed: int,
    *,
    class_weights: np.ndarray,
    smoothing: float = 0.0,
    penalty: float | None = None,
    weights: np.ndarray | None = None,
    seconds: float = math.inf,
) -> LinearModel:
    """Fit a (multinomial) logistic regression with an L2 penalty by L-BFGS.

    `inputs` [rows, numbers] of each field, `targets` [rows] class indices, `class_weights`
    [classes] and `weights` [rows] factors of the rows' losses, `smoothing` the share of the truth
    that is spread over all classes. Unless it is given, the penalty is the one of a few with the
    least log loss on a fifth of the rows that the others were fitted without. Two classes have one
    set of weights between them. Rows are sampled, and steps are fewer, where it would take more
    than about so many seconds.
    """
    random = np.random.default_rng(seed)
    one_hots = choose_codes(inputs)
    num_outputs = 1 if len(class_weights) == 2 else len(class_weights)
    width = 1 + _width(inputs, one_hots)
    work_per_row = 2 * width * num_outputs  # of one step
    step_seconds = work_per_row / _PRODUCTS + num_outputs * _LOGIT_SECONDS  # of one row
    affordable = min(_MAX_WORK / work_per_row, seconds / step_seconds)  # rows times steps
    max_rows = min(_MAX_NUMBERS // width, int(min(affordable / _MIN_STEPS, _num_rows(inputs))))
    rows = _sample_rows(_num_rows(inputs), max_rows, random)
    counts = _relative(weights, rows)
    numbers, center, scale = _standardise(expand(_taken(inputs, rows), one_hots), counts)
    num_steps = int(min(_MAX_STEPS, affordable / len(rows)))
    if num_steps < _MAX_STEPS:
        numbers = numbers.astype(np.float32)  # twice as fast, and precise enough for so few steps
    problem = _Logistic(numbers, targets[rows], class_weights, smoothing, counts)
    start = problem.start()
    if penalty is None:
        penalty, start = _choose_penalty(problem, num_steps // (len(_PENALTIES) + 2), random)
        num_steps //= 3
    vector, is_settled = problem.fit(start, penalty, num_steps, tolerance=_FINE)
    slopes, bias = problem.split(vector)
    return _unscaled(
        LinearModel(one_hots, slopes, bias, penalty, len(rows), is_settled),
        center,
        scale,
    )


def fit_label_by_label(
    inputs: Arrays,
    targets: np.ndarray,
    seed: int,
    *,
    label_weights: np.ndarray,
    smoothing: float = 0.0,
    weights: np.ndarray | None = None,
    seconds: float = math.inf,
) -> LinearModel:
    """Fit a logistic regression for each label, each on the same rows and with its own penalty.

    `targets` are 1 and 0, [rows, labels], and `label_weights` [labels] factors of the losses of
    rows with the label. The penalty of the whole is the median one.
    """
    models = [
        fit_logistic(
            inputs,
            column.astype(np.int64),
            seed,
            class_weights=np.array([1.0, factor]),
            smoothing=smoothing,
            weights=weights,
            seconds=seconds / len(label_weights),
        )
        for column, factor in zip(targets.T, label_weights, strict=True)
    ]
    first = models[0]
    return replace(
        first,
        weights=np.stack([model.weights[:, 1] - model.weights[:, 0] for model in models], axis=1),
        bias=np.array([model.bias[1] - model.bias[0] for model in models]),
        penalty=float(np.median([model.penalty for model in models])),
        is_settled=all(model.is_settled for model in models),
    )


def _choose_penalty(
    problem: "_Logistic", num_steps: int, random: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Return the best penalty, and the vector fitted with it on four fifths of the rows."""
    order = random.permutation(len(problem.targets))
    fitted, kept = np.split(order, [len(order) - len(order) // 5])
    larger, rest = problem.take(np.sort(fitted)), problem.take(np.sort(kept))
    vector = larger.start()
    best, least = (_PENALTIES[0], vector), math.inf
    for penalty in _PENALTIES:
        vector, _ = larger.fit(vector, penalty, num_steps, tolerance=_ROUGH)
        loss = rest.loss(vector, 0.0)[0]
        if loss >= least:
            break
        best, least = (penalty, vector), loss
    return best


class _Logistic:
    """A logistic regression on standardised numbers; weights and bias are one vector."""

    def __init__(
        self,
        numbers: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        smoothing: float,
        counts: np.ndarray | None,
    ) -> None:
        """Take factors of the losses: `weights` [classes], `counts` [rows]."""
        self.numbers, self.targets, self.counts = numbers, targets, counts
        self.weights, self.smoothing = weights, smoothing
        num_rows, num_classes = len(numbers), len(weights)
        self.truth = np.full((num_rows, num_classes), smoothing / num_classes, numbers.dtype)
        self.truth[np.arange(num_rows), targets] += 1 - smoothing
        factors = weights[targets, None] / max(1, num_rows)
        if counts is not None:
            factors *= (counts / counts.mean())[:, None]
        self.shares = factors.astype(numbers.dtype)
        # With two classes, the logit of the first one is 0.
        self.first = 1 if num_classes == 2 else 0
        self.shape = (numbers.shape[1] + 1, num_classes - self.first)

    def take(self, rows: np.ndarray) -> "_Logistic":
        """Return the problem of some rows."""
        return _Logistic(
            self.numbers[rows],
            self.targets[rows],
            self.weights,
            self.smoothing,
            None if self.counts is None else self.counts[rows],
        )

    def start(self) -> np.ndarray:
        """Return weights of 0, and the logarithms of the class frequencies as bias."""
        both = np.zeros(self.shape)
        logs = np.log(np.maximum((self.truth * self.shares).sum(axis=0), 1e-4))
        both[-1] = logs[1] - logs[0] if self.first else logs - logs.mean()
        return both.ravel()

    def fit(
        self, start: np.ndarray, penalty: float, max_steps: int, *, tolerance: float
    ) -> tuple[np.ndarray, bool]:
        """Return the vector that minimises the loss, and whether so many steps were enough."""
        if self.numbers.dtype == np.float32:  # which can't resolve smaller decreases
            tolerance = max(tolerance, 1e-7)
        return minimise(
            partial(self.loss, penalty=penalty), start, max_steps=max_steps, tolerance=tolerance
        )

    def loss(self, vector: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        """Return the mean loss with the penalty, and its gradient."""
        both = vector.reshape(self.shape)
        parameters = both.astype(self.numbers.dtype)
        logits = np.zeros_like(self.truth)
        logits[:, self.first :] = self.numbers @ parameters[:-1] + parameters[-1]
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        sums = powers.sum(axis=1, keepdims=True)
        losses = self.shares * self.truth * (np.log(sums) - logits)
        errors = (self.shares * (powers / sums - self.truth))[:, self.first :]
        gradient = np.concatenate(
            [self.numbers.T @ errors, errors.sum(axis=0, keepdims=True)], dtype=np.float64
        )
        gradient[:-1] += penalty * both[:-1]
        loss = losses.sum(dtype=np.float64) + penalty / 2 * (both[:-1] ** 2).sum()
        return float(loss), gradient.ravel()

    def split(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights [numbers, classes] and bias [classes]."""
        both = np.pad(vector.reshape(self.shape), ((0, 0), (self.first, 0)))
        return both[:-1], both[-1]


def _sample_rows(num_rows: int, max_rows: int, random: np.random.Generator) -> np.ndarray:
    """Return all rows, or a random sample, in their order."""
    if num_rows <= max_rows:
        return np.arange(num_rows)
    return np.sort(random.choice(num_rows, max(1, max_rows), replace=False))


def _relative(weights: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Return the weights of some rows over their mean."""
    if weights is None:
        return None
    relative: np.ndarray = weights[rows] / weights[rows].mean()
    return relative


def _standardise(
    numbers: np.ndarray, counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of mean 0 and deviation 1, and what was subtracted and divided by.

    With `counts` [rows], rows are weighted.
    """
    center = np.average(numbers, axis=0, weights=counts)
    if counts is None:
        scale = numbers.std(axis=0)
    else:
        scale = np.sqrt(np.average((numbers - center) ** 2, axis=0, weights=counts))
    scale[scale <= 1e-9 * np.abs(center)] = math.inf  # a constant column has no effect
    return (numbers - center) / scale, center, scale


def _unscaled(model: LinearModel, center: np.ndarray, scale: np.ndarray) -> LinearModel:
    """Return a model of standardised numbers as one of the numbers themselves."""
    weights = model.weights / scale[:, None]
    return replace(model, weights=weights, bias=model.bias - center @ weights)


def _principal(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal directions [numbers, components] and their squared singular values."""
    if numbers.shape[1] <= numbers.shape[0]:
        strengths, directions = np.linalg.eigh(numbers.T @ numbers)
        kept = strengths > 1e-10 * strengths.max(initial=0.0)
        return directions[:, kept], strengths[kept]
    strengths, sides = np.linalg.eigh(numbers @ numbers.T)
    kept = strengths > 1e-10 * strengths.max(initial=0.0)
    return numbers.T @ sides[:, kept] / np.sqrt(strengths[kept]), strengths[kept]
