#!/usr/bin/env python3
"""Makes tests/data/tiny-llm: a whole model directory as Hugging Face ships it (tokenizer.json, tokenizer_config.json with a chat
template, config.json, generation_config.json, model.safetensors), small and of random weights, and expected.json: what
transformers' generate() gives for it, greedy, in float32.

    tiny_llm.py tests/data/tiny-llm        needs torch, transformers and tokenizers
"""
import json, os, sys
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
TEXT = ["A token is a small chunk of text, a morsel. Models read tokens and write tokens; people read words and write words.",
        "The weather is warm, the water is warmer, and the warmest of all is the tea. Größe, naïve, 東京, 📌 and 🍵 are words, too.",
        "One, two, three; 10, 20, 30. He said: \"It's not what we'd hoped, but it'll do.\"\n\n  Two spaces, a\ttab.\n"] * 3
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=380, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>",
                               unk_token="<|endoftext|>", clean_up_tokenization_spaces=False)
fast.chat_template = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
                      "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
                      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
fast.save_pretrained(out)
if os.path.exists(os.path.join(out, "chat_template.jinja")):       # as repositories of today's models have it
    os.remove(os.path.join(out, "chat_template.jinja"))
    path = os.path.join(out, "tokenizer_config.json")
    config = json.load(open(path))
    config["chat_template"] = fast.chat_template
    json.dump(config, open(path, "w"), indent=2)

torch.manual_seed(7)
vocab = len(fast)
model = LlamaForCausalLM(LlamaConfig(vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                     num_key_value_heads=2, max_position_embeddings=256, rope_theta=10000.0, tie_word_embeddings=True,
                                     bos_token_id=1, eos_token_id=2, pad_token_id=2)).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        if "norm" not in name:
            p.normal_(0, 0.25)
model.generation_config.eos_token_id, model.generation_config.pad_token_id = [2, 0], 2
model.save_pretrained(out)

cases = []
for prompt, options in [("A token is", {}), ("The warmest", {"max_new_tokens": 60}), ("He said: \"", {"repetition_penalty": 1.3}), ("東京", {"no_repeat_ngram_size": 2}),
                        ("  Two", {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "max_new_tokens": 50}), ("One, two", {"min_new_tokens": 30, "max_new_tokens": 40}),
                        ("words", {"repetition_penalty": 0.8, "max_new_tokens": 12}), ("📌", {"max_length": 24})]:
    given = {"max_new_tokens": 32, **options} if "max_length" not in options else options
    ids = fast(prompt, return_tensors="pt").input_ids
    result = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **given)[0, ids.shape[1]:].tolist()
    cases.append({"prompt": prompt, "options": given, "prompt_ids": ids[0].tolist(), "ids": result, "text": fast.decode(result, skip_special_tokens=True)})
messages = [{"role": "user", "content": "What is a token?"}, {"role": "assistant", "content": "A morsel."}, {"role": "user", "content": "And a word?"}]
chat = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
ids = fast(chat, add_special_tokens=False, return_tensors="pt").input_ids
reply = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)[0, ids.shape[1]:].tolist()
json.dump({"cases": cases, "chat": {"messages": messages, "rendered": chat, "prompt_ids": ids[0].tolist(), "ids": reply}},
          open(os.path.join(out, "expected.json"), "w"), indent=1, ensure_ascii=False)
for c in cases:
    print(len(c["ids"]), c["ids"][-1], repr(c["text"][:80]))
