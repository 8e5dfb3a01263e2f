"""JAX with a whole epoch in one compiled scan: the practical limit, not what anyone would write."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from common import Watch, read_spec, read_table, report

spec, out = read_spec()
x, y, validation_x, validation_y = read_table(spec)
watch = Watch()
binary = spec.num_classes == 2
widths = [spec.num_features, *spec.units, 1 if binary else spec.num_classes]
random = np.random.default_rng(0)
parameters = [
    (
        random.uniform(-1, 1, (inputs, outputs)).astype(np.float32) / np.sqrt(inputs),
        random.uniform(-1, 1, outputs).astype(np.float32) / np.sqrt(inputs),
    )
    for inputs, outputs in pairwise(widths)
]


def logits(parameters, features, key=None):
    for index, (weight, bias) in enumerate(parameters):
        features = features @ weight + bias
        if index < len(parameters) - 1:
            features = jax.nn.relu(features)
            if key is not None:
                key, own = jax.random.split(key)
                keep = jax.random.bernoulli(own, 1 - spec.dropout, features.shape)
                features = jnp.where(keep, features / (1 - spec.dropout), 0)
    return features


def loss_of(parameters, features, targets, key):
    outputs = logits(parameters, features, key)
    if binary:
        z = outputs[:, 0]
        return (jnp.maximum(z, 0) - z * targets + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()
    chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], axis=1)
    return -chosen.mean()


@partial(jax.jit, donate_argnums=0)
def epoch(state, features, targets, key):
    order_key, key = jax.random.split(key)
    whole = len(features) // spec.batch_size
    order = jax.random.permutation(order_key, len(features))[: whole * spec.batch_size]

    def step(state, rows):
        (parameters, mean, square, count, key) = state
        key, own = jax.random.split(key)
        gradient = jax.grad(loss_of)(parameters, features[rows], targets[rows], own)
        count += 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradient)
        parameters = jax.tree.map(
            lambda p, m, v: (
                p - spec.lr * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            ),
            parameters,
            mean,
            square,
        )
        return (parameters, mean, square, count, key), None

    state, _ = jax.lax.scan(step, (*state, key), order.reshape(whole, spec.batch_size))
    return state[:-1]


@jax.jit
def accuracy_of(parameters, features, targets):
    outputs = logits(parameters, features)
    answers = outputs[:, 0] > 0 if binary else outputs.argmax(1)
    return (answers == targets).mean()


parameters = jax.tree.map(jnp.asarray, parameters)
zeros = jax.tree.map(jnp.zeros_like, parameters)
state = (parameters, zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.float32(0))
x, y = jnp.asarray(x), jnp.asarray(y)
for number in range(spec.epochs):
    watch.start()
    state = epoch(state, x, y, jax.random.key(number))
    accuracy = float(accuracy_of(state[0], validation_x, validation_y))
    watch.stop()
np.savez(out / "model.npz", *[part for pair in state[0] for part in map(np.asarray, pair)])
report(watch, len(x) // spec.batch_size * spec.batch_size, spec, accuracy)
