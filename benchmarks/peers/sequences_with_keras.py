"""Keras on JAX, with its layers for sequences."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from common import Watch, read_spec, read_table, report
from keras import layers

spec, out = read_spec()
shape = (spec.num_channels, spec.length)
x, y, validation_x, validation_y = read_table(spec)
x, validation_x = (rows.reshape(-1, *shape).swapaxes(1, 2) for rows in (x, validation_x))
watch = Watch()


class Timing(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        watch.start()

    def on_epoch_end(self, epoch, logs=None):
        watch.stop()


def transformer(x, *, dim, heads, layers: int, hidden, dropout):
    """Post-norm encoder layers, as in Keras' examples."""
    angles = np.arange(spec.length)[:, None] / 10_000 ** (np.arange(0, dim, 2) / dim)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(spec.length, dim)
    x = keras.layers.Dense(dim)(x) + keras.ops.convert_to_tensor(waves.astype("float32"))
    for _ in range(layers):
        mixed = keras.layers.MultiHeadAttention(heads, dim // heads, dropout=dropout)(x, x)
        mixed = keras.layers.Dropout(dropout)(mixed)
        x = keras.layers.LayerNormalization(epsilon=1e-5)(x + mixed)
        inner = keras.layers.Dense(hidden, activation="relu")(x)
        inner = keras.layers.Dense(dim)(keras.layers.Dropout(dropout)(inner))
        inner = keras.layers.Dropout(dropout)(inner)
        x = keras.layers.LayerNormalization(epsilon=1e-5)(x + inner)
    return keras.layers.GlobalAveragePooling1D()(x)


def lstm(x, *, units):
    """The last state of an LSTM."""
    return layers.LSTM(units)(x)


def gru(x, *, units):
    """The last state of a GRU."""
    return layers.GRU(units)(x)


NETWORKS = {"transformer": transformer, "lstm": lstm, "gru": gru}

given = keras.Input(shape[::-1])
outputs = layers.Dense(spec.num_classes)(NETWORKS[spec.name](given, **spec.settings))
model = keras.Model(given, outputs)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(spec.lr), loss, metrics=["sparse_categorical_accuracy"])
history = model.fit(
    x,
    y,
    batch_size=spec.batch_size,
    epochs=spec.epochs,
    validation_data=(validation_x, validation_y),
    validation_batch_size=1024,
    verbose=0,
    callbacks=[Timing()],
)
model.save(out / "model.keras")
report(watch, len(x), spec, history.history["val_sparse_categorical_accuracy"][-1])
