"""Stand-ins for what takes long to import: gone for the next who imports it, and the real thing for whoever uses one."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engine import light

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = next((ROOT / ".venv-engine" / "lib").glob("python3.*/site-packages"))
HEAVY = "KINDS = {'whole': 8}\n\n\nclass Kind:\n    whole = 8\n\n\ndef made(count):\n    return [Kind.whole] * count\n"
HELPER = "from tried_heavy import Kind, made\n\n\ndef use():\n    return made(2), Kind.whole\n"
CHECKED = """
from unittest import mock
from rasa.shared.exceptions import YamlException
from rasa.shared.utils import validation
from bot.engine import light
light.check_once()
schema = "shared/nlu/training_data/schemas/nlu.yml"
with mock.patch("pykwalify.core.Core.validate") as reads:
    for _ in range(3):
        validation.validate_yaml_schema("nlu: []", schema)
print(reads.call_count)
for _ in range(2):
    try:
        validation.validate_yaml_schema("nlu: 7", schema)
    except YamlException:
        print("refused")
"""
READ = """
from pathlib import Path
from unittest import mock
import rasa.shared.utils.io as files
from bot.engine import light

class Counted:
    tried = 0
    def match(self, word):
        self.tried += 1

patterns = Counted()
words = "".join(f"- trente {number}\\n- 2026-01-{number:02}\\n- '12'\\n" for number in range(1, 31))
texts = [words, Path("data/rules.yml").read_text("utf-8"), Path("config.yml").read_text("utf-8")]
theirs = [files.read_yaml(text) for text in texts]
files.yaml.Resolver.add_implicit_resolver("!counted", patterns, None)
light.read_once()
ours = [files.read_yaml(text) for text in texts]
print(ours == theirs, [type(one) for one in ours[0]] == [type(one) for one in theirs[0]])
patterns.tried = 0
files.read_yaml(words + "# anew")
print(patterns.tried)
patterns.tried = 0
files.read_yaml(words).clear()
print(patterns.tried, files.read_yaml(words) == theirs[0])
"""
MERGED = """
import tempfile
from pathlib import Path
from rasa.shared.importers.importer import TrainingDataImporter
from bot.engine import light

NLU = "nlu:\\n- intent: ' armes '\\n  examples: |\\n    - un sabre\\n    - un [gendarme](corps)\\n    - un sabre\\n"
LISTS = "- lookup: corps\\n  examples: |\\n    - gendarme\\n- synonym: gendarme\\n  examples: |\\n    - pandore\\n"
ASKED = "nlu:\\n- intent: armes/port\\n  examples: |\\n    - porter un sabre\\n- intent: armes\\n  examples: |\\n    - un sabre\\n"
ANSWERED = "responses:\\n  utter_armes/port:\\n  - text: Non.\\n"
STORIES = "stories:\\n- story: une\\n  steps:\\n  - intent: armes\\n  - action: utter_armes\\n"
DOMAIN = "intents:\\n- armes\\nentities:\\n- corps\\nresponses:\\n  utter_armes:\\n  - text: Oui.\\n"
folder = Path(tempfile.mkdtemp())
files = []
for name, text in {"nlu": NLU + LISTS, "asked": ASKED + ANSWERED, "stories": STORIES}.items():
    files.append(str(folder / f"{name}.yml"))
    Path(files[-1]).write_text(text)
(folder / "domain.yml").write_text(DOMAIN)

def told():
    importer = TrainingDataImporter.load_from_config("config.yml", str(folder / "domain.yml"), files)
    data = importer.get_nlu_data()
    assert len(importer.get_nlu_data("fr").training_examples) == len(data.training_examples)
    examples = [example.as_dict() for example in data.training_examples]
    lists = data.lookup_tables, data.entity_synonyms
    return examples, data.responses, lists, data.fingerprint(), importer.get_domain().fingerprint()

theirs = told()
light.check_once()
ours = told()
print([one.get("text") for one in ours[0]].count("un sabre"), *(one == other for one, other in zip(ours, theirs)))
"""
NAMED = """
import sys
from bot.engine import light, quiet

quiet.silence()
light.for_training()
from rasa.engine.recipes.default_recipe import DefaultV1Recipe

def found(name):
    return DefaultV1Recipe._from_registry(name).clazz.__name__, "tensorflow" in sys.modules

for name in ("bot.engine.classifier.FrenchIntentClassifier", "RulePolicy", "TEDPolicy"):
    print(*found(name))
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that imports a heavy one for two names."""
    (tmp_path / "tried_heavy.py").write_text(HEAVY)
    (tmp_path / "tried_helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    yield "tried_helper"
    for name in ("tried_heavy", "tried_helper"):
        sys.modules.pop(name, None)


def test_what_is_heavy_is_imported_by_its_first_use(helper: str) -> None:
    light._import(helper, {"tried_heavy": ("Kind", "made")})
    assert "tried_heavy" not in sys.modules
    assert sys.modules[helper].use() == ([8, 8], 8)
    assert importlib.import_module("tried_heavy").KINDS == {"whole": 8}


def test_a_helper_that_cannot_be_imported_leaves_no_stand_in(helper: str) -> None:
    with pytest.raises(ImportError):
        light._import(helper, {"tried_heavy": ("Kind",)})
    assert "tried_heavy" not in sys.modules


def test_a_closer_look_imports_nothing(helper: str) -> None:
    assert not hasattr(light.Later("tried_heavy", "Kind"), "__wrapped__")
    assert "tried_heavy" not in sys.modules


def engine(code: str) -> list[str]:
    """The words that a few lines print, run as the engine is."""
    python = PACKAGES.parents[2] / "bin" / "python"
    ran = subprocess.run([str(python), "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_what_an_engine_reads_is_checked_once_and_refused_each_time() -> None:
    assert engine(CHECKED) == ["1", "refused", "refused"]


def test_what_an_engine_reads_is_parsed_once_to_the_same_values_and_each_word_is_looked_at_once() -> None:
    assert engine(READ) == ["True", "True", "30", "0", "True"]


@pytest.mark.parametrize(
    ("module", "names"), [(module, names) for wanted in light.IMPORTS.values() for module, names in wanted.items()]
)
def test_what_is_stood_for_exists(module: str, names: tuple[str, ...]) -> None:
    path = PACKAGES / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    assert found >= set(names)


def test_what_an_engine_merges_without_copies_is_what_rasa_merges() -> None:
    assert engine(MERGED) == ["1", *["True"] * 5]


def test_a_training_imports_networks_only_for_a_pipeline_that_names_one() -> None:
    named = ["FrenchIntentClassifier", "False", "RulePolicy", "False", "TEDPolicy", "True"]
    assert engine(NAMED) == named
