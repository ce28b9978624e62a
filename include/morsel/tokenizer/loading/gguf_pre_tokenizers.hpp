// What the names under tokenizer.ggml.pre in GGUF files stand for (llama.cpp gives them out): how text is split before byte-level BPE,
// whether it is normalized first, and whether a piece that is a token is not merged. Where the model's own tokenizer.json differs from
// llama.cpp's approximation (NFC, digit runs, U+017F), this follows tokenizer.json. Patterns without a scanner go to the program's
// engine for regular expressions. Left out: gemma4, sarvam-moe, afmoe, jais-2, granite-embed-multi-311m and whitespace, refused by name.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

// Sets pre-tokenizer, normalizer and ignore_merges of that name. False: unknown. Throws Error where an engine is needed and missing.
inline bool gguf_pre_tokenizer(std::string_view name, const RegexCompiler& compiler, TokenizerParts& parts, Bpe& bpe) {
    using Step = std::variant<SplitScanner, std::string_view>;
    const auto is = [&](std::initializer_list<std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    auto& steps = parts.pre_tokenizer.emplace().steps;
    const auto split_by = [&](std::initializer_list<Step> patterns) {
        for (const Step& step : patterns) {
            Pattern pattern = std::holds_alternative<SplitScanner>(step) ? Pattern{std::string(name), std::get<SplitScanner>(step)} : regex_pattern(std::get<std::string_view>(step), compiler);
            steps.emplace_back(SplitPreTokenizer{std::move(pattern), SplitBehavior::isolated, false});
        }
        steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false});
        return true;
    };
    if (is({"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "qwen35", "mpt", "olmo", "modern-bert", "command-r"}))
        parts.normalizer.emplace().steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfc});
    bpe.ignore_merges = is({"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken", "youtu", "minicpm5", "granite-embed-multi-97m"});

    if (is({"gpt-2", "default", "phi-2", "roberta-bpe", "mpt", "olmo", "jais", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code", "gigachat", "a.x-4.0", "mellum",
            "modern-bert", "trillion", "granite-docling", "exaone4"})) {
        steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false});
        return true;
    }
    if (is({"smollm", "starcoder", "refact", "codeshell", "exaone", "command-r", "minerva-7b", "mellum2"})) {
        steps.emplace_back(DigitsPreTokenizer{true});
        steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false});
        return true;
    }
    if (is({"falcon"})) {
        steps.emplace_back(PunctuationPreTokenizer{SplitBehavior::contiguous});
        steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false});
        steps.emplace_back(DigitsPreTokenizer{false});
        steps.emplace_back(SplitPreTokenizer{Pattern{"", split::three_digits}, SplitBehavior::isolated, false});
        return true;
    }
    if (is({"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "dbrx", "smaug-bpe", "glm4", "chatglm-bpe"})) return split_by({split::llama3});
    if (is({"minicpm5"})) return split_by({split::deepseek_numbers, split::llama3});
    if (is({"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2"})) return split_by({split::qwen2});
    if (is({"qwen35"})) return split_by({split::qwen35});
    if (is({"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"})) return split_by({split::o200k});
    if (is({"tekken"})) return split_by({split::tekken});
    if (is({"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"})) return split_by({split::deepseek_numbers, split::deepseek_cjk, split::deepseek_text});

    if (is({"deepseek-coder"})) return split_by({R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", R"(\p{N})"});
    if (is({"bloom", "poro-chat", "gpt3-finnish"})) return split_by({R"( ?[^(\s|.,!?…。，、।۔،)]+)"});
    if (is({"viking"})) return split_by({R"( ?[^(\s|.,!?…。，、।۔،)]+)", R"(\p{N})"});
    if (is({"superbpe"})) return split_by({R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"});
    if (is({"tiny_aya", "cohere2moe"})) return split_by({R"(\d{1,3}(?=(?:\d{3})*\b))", split::o200k});
    if (is({"laguna"})) return split_by({R"([^\n]+|[\n]+)", split::qwen2});
    if (is({"ufakzeka"})) return split_by({R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
    if (is({"bailingmoe", "bailingmoe2", "llada-moe"}))
        return split_by({R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"});
    if (is({"seed-coder"}))
        return split_by({R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"});
    if (is({"exaone-moe"}))
        return split_by({R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"});
    if (is({"spark2_5"}))
        return split_by({split::deepseek_numbers, split::deepseek_cjk,
                         R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)", R"(\p{N})"});
    if (is({"chameleon"}))
        return split_by({"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", R"(([\t\n]|    |  ))", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", split::gpt2});
    if (is({"youtu"}))
        return split_by({"[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                         R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
    if (is({"granite-embed-multi-97m"})) return split_by({split::o200k});
    if (is({"kimi-k2"}))  // the classes' intersections with [^\p{Han}] are said by looking ahead
        return split_by({R"(\p{Han}+|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])*(?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])+(?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
    return false;
}

}  // namespace detail

}  // namespace morsel
