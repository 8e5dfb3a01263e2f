"""Lightning, with everything that only talks switched off."""

import logging
import warnings

import lightning as L
import torch
from common import Watch, read_spec, read_table, report
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import build

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
spec, out = read_spec()
x, y, validation_x, validation_y = map(torch.from_numpy, read_table(spec))
watch = Watch()


class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = build(spec)

    def training_step(self, batch, _):
        features, targets = batch
        return self.loss_of(self.model(features), targets)

    def validation_step(self, batch, _):
        features, targets = batch
        outputs = self.model(features)
        self.log("validation_loss", self.loss_of(outputs, targets))
        answers = outputs[:, 0] > 0 if spec.num_classes == 2 else outputs.argmax(1)
        self.log("validation_accuracy", (answers == targets).float().mean())

    def loss_of(self, outputs, targets):
        if spec.num_classes == 2:
            return F.binary_cross_entropy_with_logits(outputs[:, 0], targets.float())
        return F.cross_entropy(outputs, targets)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=spec.lr)

    def on_train_epoch_start(self):
        watch.start()

    def on_validation_end(self):
        watch.stop()


trainer = L.Trainer(
    max_epochs=spec.epochs,
    accelerator="cpu" if spec.device == "cpu" else "gpu",
    devices=1,
    precision="bf16-mixed" if spec.precision == "bf16" else "32-true",
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    enable_checkpointing=False,
    num_sanity_val_steps=0,
)
trainer.fit(
    Net(),
    DataLoader(TensorDataset(x, y), batch_size=spec.batch_size, shuffle=True),
    DataLoader(TensorDataset(validation_x, validation_y), batch_size=1024),
)
trainer.save_checkpoint(out / "model.ckpt")
report(watch, len(x), spec, trainer.callback_metrics["validation_accuracy"])
