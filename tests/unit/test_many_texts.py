"""What training does with many texts at once gives what is done with one; and what it keeps between trainings does no harm."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.engine_code import in_engine

ROWS = """
import json, sys
import numpy as np
from bot.engine.features import Features
taught, others = json.loads(sys.argv[1])
features = Features(2.0)
learnt = features.fit_rows(taught)
again = Features(2.0).fit(taught)

def apart(rows, texts):
    worst = 0.0
    for number, text in enumerate(texts):
        columns, values = features.row(text)
        one = np.zeros(features.width)
        one[columns] = values
        assert rows[number].nnz == len(columns)
        worst = max(worst, float(np.abs(rows[number].toarray()[0] - one).max()))
    return worst

print(json.dumps({
    "learnt": apart(learnt, taught),
    "others": apart(features.rows(others), others),
    "width": [learnt.shape[1], features.width],
    "same": all(again._views[name].index == view.index for name, view in features._views.items()),
    "words": {name: list(view.index) for name, view in features._views.items() if name in ("words", "letters")},
    "rarity": [float(features._views["words"].rarity[features._views["words"].index[word]]) for word in ("vol", "velo")],
    "seen": features.seen["vol"],
}))
"""
PRODUCTS = """
import json
import numpy as np
from scipy.sparse import random
from bot.engine import questions
questions.OFTEN, questions.AT_ONCE = 7, 11
left, right = (random(rows, 60, 0.2, "csr", np.float32, np.random.default_rng(rows)) for rows in (9, 30))
found = questions._products(left, right)
apart = float(np.abs(found - (left @ right.T).toarray()).max())
print(json.dumps({"apart": apart, "shape": found.shape, "most": float(found.max())}))
"""
KEPT = """
import json, os, pathlib, sys
import numpy as np
from bot.engine.encoder.kept import Kept, mark
folder = pathlib.Path(sys.argv[1])
path, told = folder / "meanings.npz", {}
texts = [[1, 2], [3], [1, 2], [4, 5, 6]]
marks = [mark(text) for text in texts]
rows = np.arange(6, dtype=np.float32).reshape(3, 2) / 3

def missing(path, own="own", of=marks):
    return Kept(path, own).missing(of)

first = Kept(path, "own")
told["at first"] = first.missing(marks)
whole = first.together(marks, [0, 1, 3], list(rows))
told["whole"] = np.array_equal(whole, rows[[0, 1, 0, 2]])
first.write(marks)
told["left"] = sorted(one.name for one in folder.iterdir())
told["hit"] = missing(path)
told["same"] = np.array_equal(Kept(path, "own").together(marks, [], []), whole)
told["new"] = missing(path, of=[*marks, mark([7])])
told["foreign"] = missing(path, "another network")
second = Kept(path, "own")
second.write(marks[:1])
told["pruned"] = missing(path)
good = path.read_bytes()
for name, content in {"cut": good[: len(good) // 2], "empty": b"", "text": b"nothing of the kind"}.items():
    path.write_bytes(content)
    told[name] = missing(path)
for name, arrays in {
    "no rows": {"own": np.array("own")},
    "other shape": {"own": np.array("own"), "digests": np.zeros((2, 16), np.uint8), "rows": np.zeros((3, 2), np.float32)},
    "objects": {"own": np.array("own"), "digests": np.zeros((1, 16), np.uint8), "rows": np.array([{}], object)},
}.items():
    with path.open("wb") as file:
        np.savez(file, **arrays)
    told[name] = missing(path)
path.unlink()
first._path = folder / "nowhere" / "meanings.npz"
first.write(marks)
told["unwritable"] = sorted(one.name for one in folder.iterdir())
path.mkdir()  # a folder stands there: neither read nor replaced
first._path = path
first.write(marks)
told["folder"] = missing(path), sorted(one.name for one in folder.iterdir())
none = Kept(None, "own")
told["none"] = none.missing(marks)
none.write(marks)
print(json.dumps(told))
"""
TAUGHT = [
    "on m'a volé mon vélo",
    "On m’a volé mon vélo hier soir !!",
    "vol de vélo",
    "porter plainte pour vol",
    "koman porté plinte",
    "",
    "a",
    "s.o.s 🆘 vol vol vol",
    "jvoudré porter plainte pour vol de vélo, vol de téléphone",
    "لقد فقدت جواز سفري",
]
OTHERS = ["", "rien de connu ici xyzzy", "plainte vol vol", "ouè", "je veu porté plainte pr 1 vol"]


def test_many_rows_are_those_of_each_text() -> None:
    """Learnt texts and others, empty ones, those with no word that is known, those with a word several times."""
    found = in_engine(ROWS, json.dumps([TAUGHT, OTHERS]))
    assert found["learnt"] < 1e-6
    assert found["others"] < 1e-6
    assert found["width"][0] == found["width"][1]
    assert found["same"]
    assert found["words"]["words"] == sorted(found["words"]["words"])
    assert {"vol", "porter", "vol de", "de velo"} <= set(found["words"]["words"])
    assert "vol porter" not in found["words"]["words"], "two words in a row, of two texts"
    assert {" vo", "vol", "ol "} <= set(found["words"]["letters"])
    assert found["seen"] == 4
    assert found["rarity"][0] == found["rarity"][1]  # each in four texts of ten, however often in one


def test_products_of_rows_are_the_same_in_two_parts() -> None:
    """Columns that many rows have apart from the others."""
    found = in_engine(PRODUCTS)
    assert found["shape"] == [9, 30]
    assert found["apart"] < 1e-5 < found["most"]


def test_kept_meanings_are_used_only_where_they_are_right(tmp_path: Path) -> None:
    """Of the same network and the same pieces; from a whole file; and a place that cannot be written stops nothing."""
    told = in_engine(KEPT, str(tmp_path))
    assert told["at first"] == [0, 1, 3], "each distinct text once"
    assert told["whole"]
    assert told["left"] == ["meanings.npz"]
    assert told["hit"] == []
    assert told["same"]
    assert told["new"] == [4]
    assert told["pruned"] == [1, 3]
    for name in ("foreign", "cut", "empty", "text", "no rows", "other shape", "objects", "none"):
        assert told[name] == [0, 1, 3], name
    assert told["unwritable"] == []
    assert told["folder"] == [[0, 1, 3], ["meanings.npz"]]
