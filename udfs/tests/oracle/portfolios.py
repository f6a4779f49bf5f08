"""Portfolios against NumPy and SciPy, over drawn covariance matrices."""

import math

import numpy
from scipy import linalg, optimize, stats
from statement import emit, emit_table

ROWS, SIZE = 60, 3
NAMES = [f"{a}{b}" for a in "abc" for b in "abc"]


def drawn():
    """Covariances of returns that go together more or less, and weights that may be short."""
    random = numpy.random.default_rng(21)
    for _ in range(ROWS):
        scale = 10.0 ** random.uniform(-2, 1)
        samples = random.normal(0, scale, (30, SIZE)) + random.normal(0, scale, (30, 1))
        yield numpy.cov(samples.T), random.normal(0.4, 0.6, SIZE)


def least_variance(matrix):
    """The weights by elimination, and that no search finds better ones."""
    free = linalg.solve(matrix, numpy.ones(SIZE), assume_a="pos")
    weights = free / free.sum()
    unit = matrix / numpy.trace(matrix)
    found = optimize.minimize(
        lambda w: w @ unit @ w, numpy.full(SIZE, 1 / SIZE), jac=lambda w: 2 * unit @ w,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, tol=1e-14)
    numpy.testing.assert_allclose(found.x, weights, atol=1e-5)
    return weights


def check():
    pairs = list(drawn())
    # An asset twice: no weights are the best.
    twice = numpy.array([[4.0, 4, 1], [4, 4, 1], [1, 1, 2]])
    matrices = [matrix for matrix, _ in pairs] + [twice]
    weights = [weight for _, weight in pairs] + [numpy.array([0.5, 0.25, 0.25])]
    cells = numpy.array(matrices).reshape(-1, SIZE * SIZE)
    columns = {name: cells[:, place] for place, name in enumerate(NAMES)}
    columns |= {f"w{place}": [w[place] for w in weights] for place in range(SIZE)}
    emit_table("portfolios", {"day": numpy.arange(len(matrices))} | columns)
    rows = ", ".join(f"[{', '.join(f'{a}{b}' for b in 'abc')}]" for a in "abc")
    matrix, weight = f"[{rows}]", "[w0, w1, w2]"

    def add(call, values):
        """A number a row, or a list of them, of which the first is at 1."""
        values = numpy.array(values, dtype=float)
        outputs = [values] if values.ndim == 1 else list(values.T)
        fields = "x" if values.ndim == 1 else ", ".join(f"x[{i + 1}]" for i in range(SIZE))
        emit(f"SELECT {fields} FROM (SELECT day, {call} AS x FROM portfolios) AS p ORDER BY day",
             outputs)

    variances = numpy.array([w @ c @ w for w, c in zip(weights, matrices)])
    add(f"portfolio_variance({weight}, {matrix})", variances)
    for confidence in [None, 0.95, 0.99, 0.6]:
        z = stats.norm.ppf(confidence or 0.95)
        end = ")" if confidence is None else f", {confidence})"
        marginal = [z * c @ w / math.sqrt(w @ c @ w) for w, c in zip(weights, matrices)]
        component = [w * m for w, m in zip(weights, marginal)]
        numpy.testing.assert_allclose(numpy.sum(component, axis=1), z * numpy.sqrt(variances))
        add(f"portfolio_var({weight}, {matrix}{end}", z * numpy.sqrt(variances))
        add(f"marginal_var({weight}, {matrix}{end}", marginal)
        add(f"component_var({weight}, {matrix}{end}", component)
    least = [least_variance(matrix) for matrix in matrices[:-1]]
    add(f"min_variance_weights({matrix})", [*least, numpy.full(SIZE, math.nan)])
