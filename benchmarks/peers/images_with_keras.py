"""Keras on folders of images: `python images_with_keras.py FOLDER OUT SIDE BATCH EPOCHS LR`.

FOLDER has the folders `train` and `validation`, each with a folder for each class. The backend is
TensorFlow, its default. Prints the accuracy on the validation images as JSON.
"""

import json
import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers


def network(side, num_classes):
    changes = [
        layers.RandomRotation(15 / 360, fill_mode="reflect"),
        layers.RandomZoom(0.15, fill_mode="reflect"),
        layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
        layers.RandomBrightness(0.2),
        layers.RandomContrast(0.2),
    ]
    body = [layers.Rescaling(1 / 127.5, offset=-1)]
    for place, channels in enumerate((24, 48, 96, 192, 192)):
        stride = 1 if place else 2
        body.append(layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False))
        body += [layers.BatchNormalization(), layers.ReLU()]
        body += [layers.MaxPooling2D(2)] * (place in (1, 2, 3))
    pooled = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(num_classes)]
    return keras.Sequential([keras.Input((side, side, 3)), *changes, *body, *pooled])


def main(folder, out, side, batch_size, epochs, lr):
    keras.utils.set_random_seed(0)
    parts = {
        part: keras.utils.image_dataset_from_directory(
            Path(folder) / part,
            image_size=(side, side),
            batch_size=batch_size,
            label_mode="categorical",
            shuffle=part == "train",
            verbose=False,
        )
        for part in ("train", "validation")
    }
    num_classes = len(parts["train"].class_names)
    ready = {part: rows.cache().prefetch(tf.data.AUTOTUNE) for part, rows in parts.items()}
    model = network(side, num_classes)
    steps = epochs * len(parts["train"])
    rates = keras.optimizers.schedules.CosineDecay(
        0.0, steps * 9 // 10, 0.0, "cosine", lr, steps // 10
    )
    model.compile(
        keras.optimizers.AdamW(rates, weight_decay=0.05),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
    )
    history = model.fit(
        ready["train"], validation_data=ready["validation"], epochs=epochs, verbose=0
    )
    model.save(Path(out) / "model.keras")
    print(json.dumps({"accuracy": history.history["val_accuracy"][-1]}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]), float(sys.argv[6]))
