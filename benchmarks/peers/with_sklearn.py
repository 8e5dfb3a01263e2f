"""scikit-learn's MLPClassifier, an epoch a call; it knows neither dropout nor convolutions."""

import pickle

from common import Watch, read_spec, read_table, report
from sklearn.neural_network import MLPClassifier

spec, out = read_spec()
x, y, validation_x, validation_y = read_table(spec)
model = MLPClassifier(spec.units, alpha=0.0, batch_size=spec.batch_size, learning_rate_init=spec.lr)
watch = Watch()
for _ in range(spec.epochs):
    watch.start()
    model.partial_fit(x, y, classes=range(spec.num_classes))
    accuracy = model.score(validation_x, validation_y)
    watch.stop()
(out / "model.pickle").write_bytes(pickle.dumps(model))
report(watch, len(x), spec, accuracy)
