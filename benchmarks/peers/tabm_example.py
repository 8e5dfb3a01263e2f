"""TabM of the tabm package, trained as the package's example notebook trains it.

The package has a network and no trainer. As in the example: TabM.make without embeddings, quantiles
of numbers with a little noise, AdamW with clipped gradients, batches that the networks share, and
a patience of 16. The best epoch is that of the lowest log-loss, not of the best accuracy, as the
error is log-loss here.
"""

import math
from copy import deepcopy

import numpy as np
import pandas as pd
import tabm
import torch
from sklearn.preprocessing import QuantileTransformer
from torch.nn import functional

_LEARNING_RATE, _WEIGHT_DECAY, _CLIP_NORM = 2e-3, 3e-4, 1.0
_BATCH_SIZE, _PATIENCE = 256, 16


class TabmExample:
    """Fits and predicts, as scikit-learn's estimators do."""

    def __init__(self, *, is_number, seed):
        self.is_number, self.seed = is_number, seed

    def fit(self, rows, labels, *, validation, categorical, others):
        """Train on rows but for those at the indices `validation`, which say when to stop.

        `others` are rows whose categories may not be among these.
        """
        torch.manual_seed(self.seed)
        self.categorical = list(categorical)
        self.numeric = [name for name in rows.columns if name not in self.categorical]
        both = pd.concat([rows, others])
        self.categories = [sorted(both[name].unique()) for name in self.categorical]
        train = np.setdiff1d(np.arange(len(rows)), validation)
        self._fit_numbers(rows.iloc[train])
        targets = self._encode_labels(labels.to_numpy(), train)
        model = self.model = tabm.TabM.make(
            n_num_features=len(self.numeric),
            cat_cardinalities=list(map(len, self.categories)),
            d_out=1 if self.is_number else len(self.classes_),
        )
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
        )
        inputs, truth = self._inputs(rows.iloc[train]), targets[train]
        watched, watched_truth = self._inputs(rows.iloc[validation]), targets[validation]
        best, best_state, remaining = math.inf, None, _PATIENCE
        while remaining >= 0:
            model.train()
            for batch in torch.randperm(len(train)).split(_BATCH_SIZE):
                optimizer.zero_grad()
                found = model(*(one if one is None else one[batch] for one in inputs))
                self._loss(found.flatten(0, 1), truth[batch].repeat_interleave(model.k)).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
                optimizer.step()
            error = self._error(self._mean(watched), watched_truth)
            if error < best:
                best, best_state, remaining = error, deepcopy(model.state_dict()), _PATIENCE
            else:
                remaining -= 1
        model.load_state_dict(best_state)
        return self

    def predict(self, rows):
        """Return numbers, [rows]."""
        return (self._mean(self._inputs(rows)) * self.deviation + self.center).double().numpy()

    def predict_proba(self, rows):
        """Return probabilities, [rows, classes]."""
        return self._mean(self._inputs(rows)).double().numpy()

    def _fit_numbers(self, rows):
        numbers = rows[self.numeric].to_numpy(np.float32)
        noise = np.random.default_rng(0).normal(0.0, 1e-5, numbers.shape).astype(np.float32)
        self.scaler = QuantileTransformer(
            n_quantiles=max(min(len(rows) // 30, 1000), 10),
            output_distribution="normal",
            subsample=10**9,
            random_state=0,
        ).fit(numbers + noise)

    def _encode_labels(self, labels, train):
        if not self.is_number:
            self.classes_, codes = np.unique(labels, return_inverse=True)
            return torch.as_tensor(codes)
        numbers = labels.astype(np.float32)
        self.center, self.deviation = numbers[train].mean().item(), numbers[train].std().item()
        return torch.as_tensor((numbers - self.center) / self.deviation)

    def _inputs(self, rows):
        """Return the numbers, and the codes of the categories, or None."""
        numbers = self.scaler.transform(rows[self.numeric].to_numpy(np.float32))
        if not self.categorical:
            return torch.as_tensor(numbers, dtype=torch.float32), None
        codes = np.column_stack(
            [
                np.searchsorted(np.array(known), rows[name])
                for name, known in zip(self.categorical, self.categories, strict=True)
            ]
        )
        return torch.as_tensor(numbers, dtype=torch.float32), torch.as_tensor(codes)

    def _loss(self, outputs, truth):
        if self.is_number:
            return functional.mse_loss(outputs[:, 0], truth)
        return functional.cross_entropy(outputs, truth)

    @torch.inference_mode()
    def _mean(self, inputs):
        """Return the mean of the networks' numbers, or of their probabilities."""
        outputs = self.model.eval()(*inputs)
        return outputs.mean(1)[:, 0] if self.is_number else outputs.softmax(-1).mean(1)

    def _error(self, predicted, truth):
        if self.is_number:
            return functional.mse_loss(predicted, truth).item()
        return functional.nll_loss(predicted.log(), truth).item()
