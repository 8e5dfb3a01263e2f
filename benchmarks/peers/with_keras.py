"""Keras, on the backend that KERAS_BACKEND names."""

import keras
from common import Watch, read_spec, read_table, report
from keras import layers

spec, out = read_spec()
x, y, validation_x, validation_y = read_table(spec)
watch = Watch()


class Timing(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        watch.start()

    def on_epoch_end(self, epoch, logs=None):
        watch.stop()


if spec.image_side:
    body = [
        layers.Reshape((spec.image_side, spec.image_side, 1)),
        layers.Conv2D(32, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(64, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
    ]
else:
    body = []
    for units in spec.units:
        body += [layers.Dense(units, activation="relu"), layers.Dropout(spec.dropout)]
binary = spec.num_classes == 2
last = layers.Dense(1 if binary else spec.num_classes)
model = keras.Sequential([keras.Input((spec.num_features,)), *body, last])
loss = (
    keras.losses.BinaryCrossentropy(from_logits=True)
    if binary
    else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
accuracy = keras.metrics.BinaryAccuracy(threshold=0.0) if binary else "sparse_categorical_accuracy"
model.compile(keras.optimizers.Adam(spec.lr), loss, metrics=[accuracy])
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
[name] = [name for name in history.history if name.startswith("val_") and "accuracy" in name]
report(watch, len(x), spec, history.history[name][-1])
