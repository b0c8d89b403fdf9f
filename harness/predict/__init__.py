"""Predict what happens to a Channel Access search from values alone: no root, no sockets.

:func:`predict` computes, for a scenario and the implementation that plays its servers, who receives each search, who
answers, who gets connected, and why. The way of a packet is in :mod:`.path`, the choice of sockets in
:mod:`.sockets`, rules and translations in :mod:`.firewall`; :mod:`.rules` is the table of all rules.
"""

from canet.harness.predict.play import play
from canet.harness.predict.predict import predict, stage
from canet.harness.predict.prediction import (
    BeaconPrediction,
    ClientPrediction,
    Happening,
    Hearing,
    Prediction,
    ProbePrediction,
    PvPrediction,
    Standing,
    Sure,
    Way,
)
from canet.harness.predict.rules import RULES
from canet.harness.predict.trace import Reason

__all__ = [
    "RULES",
    "BeaconPrediction",
    "ClientPrediction",
    "Happening",
    "Hearing",
    "Prediction",
    "ProbePrediction",
    "PvPrediction",
    "Reason",
    "Standing",
    "Sure",
    "Way",
    "play",
    "predict",
    "stage",
]
