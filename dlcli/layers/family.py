"""The family of layers: its members, and the config's section for any of them."""

from typing import Annotated, get_args

from dlcli.layers.attention.attention import Attention
from dlcli.layers.attention.positional_encoding import PositionalEncoding
from dlcli.layers.attention.transformer_encoder import TransformerEncoder
from dlcli.layers.backbone.backbone import Backbone
from dlcli.layers.base import Layer
from dlcli.layers.blocks import residual
from dlcli.layers.blocks.residual import Residual, ResidualBlock
from dlcli.layers.blocks.squeezing import SqueezeExcitation
from dlcli.layers.dense import Dense
from dlcli.layers.elementwise import (
    ActivationLayer,
    Dropout,
    ParametricActivation,
    PReLU,
    Scale,
)
from dlcli.layers.embedding.numeric_embedding import NumericEmbedding
from dlcli.layers.embedding.token_embedding import TokenEmbedding
from dlcli.layers.normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from dlcli.layers.recurrent.recurrent import Gru, Lstm, Rnn
from dlcli.layers.reshaping import Flatten, Reshape
from dlcli.layers.time.pool_time import PoolTime
from dlcli.layers.windows.convolution import Conv1d, Conv2d
from dlcli.layers.windows.pooling import AvgPool1d, AvgPool2d, GlobalAvgPool, MaxPool1d, MaxPool2d
from dlcli.layers.windows.transposed import ConvTranspose1d, ConvTranspose2d
from dlcli.section import ByType

AnyLayer = Annotated[
    Dense
    | ActivationLayer
    | ParametricActivation
    | PReLU
    | Dropout
    | Flatten
    | Reshape
    | Conv1d
    | Conv2d
    | ConvTranspose1d
    | ConvTranspose2d
    | MaxPool1d
    | MaxPool2d
    | AvgPool1d
    | AvgPool2d
    | GlobalAvgPool
    | BatchNorm
    | LayerNorm
    | RmsNorm
    | GroupNorm
    | InstanceNorm
    | Scale
    | NumericEmbedding
    | TokenEmbedding
    | PoolTime
    | PositionalEncoding
    | Attention
    | TransformerEncoder
    | SqueezeExcitation
    | Rnn
    | Lstm
    | Gru
    | Residual
    | ResidualBlock
    | Backbone,
    ByType(),
]
LAYERS: tuple[type[Layer], ...] = get_args(get_args(AnyLayer)[0])

# What the layers of a residual block may be, looked up there once its schema is built.
vars(residual)["AnyLayer"] = AnyLayer
