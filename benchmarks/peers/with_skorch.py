"""skorch, validating on the rows given."""

import skorch
import torch
from common import Watch, read_spec, read_table, report
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch_model import build

spec, out = read_spec()
x, y, validation_x, validation_y = read_table(spec)
watch = Watch()


class Timing(Callback):
    """An epoch with its validation batches."""

    def on_epoch_begin(self, net, **_):
        watch.start()

    def on_epoch_end(self, net, **_):
        watch.stop()


options = {
    "max_epochs": spec.epochs,
    "batch_size": spec.batch_size,
    "lr": spec.lr,
    "optimizer": torch.optim.Adam,
    "train_split": predefined_split(skorch.dataset.Dataset(validation_x, validation_y)),
    "iterator_train__shuffle": True,
    "iterator_valid__batch_size": 1024,
    "callbacks": [Timing()],
    "verbose": 0,
}
if spec.num_classes == 2:
    options["train_split"] = predefined_split(
        skorch.dataset.Dataset(validation_x, validation_y.astype("float32"))
    )

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = build(spec)

        def forward(self, features):
            return self.model(features)[:, 0]

    net = skorch.NeuralNetBinaryClassifier(Flat, **options)
    net.fit(x, y.astype("float32"))
else:
    net = skorch.NeuralNetClassifier(
        build(spec),
        criterion=torch.nn.CrossEntropyLoss,
        classes=list(range(spec.num_classes)),
        **options,
    )
    net.fit(x, y)
net.save_params(out / "model.pt")
report(watch, len(x), spec, (net.predict(validation_x) == validation_y).mean())
