// Incremental encoding, streaming, counting and cutting give what encoding the whole text gives: on random texts in random parts, with the tiny
// tokenizers of every family and with every known split pattern, for hostile text as for ordinary.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

namespace {

TokenizerParts parts_of(const char* name) { return load_tokenizer_parts(morsel_test::test_data() / "tokenizers" / name); }

// Every family: the tiny tokenizers, and variations of them that published tokenizers have.
std::vector<std::pair<std::string, Tokenizer>> families() {
    std::vector<std::pair<std::string, Tokenizer>> all;
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json", "unigram.json", "suffix.json", "sentencepiece", "sentencepiece_rules"})
        all.emplace_back(name, Tokenizer(parts_of(name)));
    for (const auto& known : split::known) {  // Llama-3, Qwen, GPT-4o ...
        if (known.scanner.is_match != nullptr) continue;
        TokenizerParts parts = parts_of("byte_level.json");
        parts.normalizer.emplace().steps.emplace_back(UnicodeNormalizer{all.size() % 2 == 0 ? unicode::NormalForm::nfc : unicode::NormalForm::nfkd});
        if (all.size() % 3 == 0) parts.normalizer.reset();
        parts.pre_tokenizer->steps = {SplitPreTokenizer{Pattern{"", known.scanner}}, ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false}};
        TokenizerParts pieces = parts;  // a token for each piece, so that a wrong boundary changes the number of tokens
        WordLevel one;
        one.vocabulary.add(one.unk_token, 0);
        one.vocabulary.finish();
        pieces.model = std::move(one);
        pieces.added_tokens = {}, pieces.post_processors.clear();  // normalized ones forbid cuts before punctuation
        pieces.normalizer.emplace().steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfkd});
        all.emplace_back("pieces of " + std::string(known.regex), Tokenizer(std::move(pieces)));
        all.emplace_back("pattern " + std::string(known.regex), Tokenizer(std::move(parts)));
    }
    TokenizerParts deepseek = parts_of("byte_level.json");
    deepseek.pre_tokenizer->steps = {SplitPreTokenizer{Pattern{"", split::deepseek_numbers}}, SplitPreTokenizer{Pattern{"", split::deepseek_cjk}}, SplitPreTokenizer{Pattern{"", split::deepseek_text}},
                                     ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false}};
    all.emplace_back("DeepSeek", Tokenizer(std::move(deepseek)));
    TokenizerParts smollm = parts_of("byte_level.json");
    smollm.pre_tokenizer->steps = {DigitsPreTokenizer{true}, ByteLevelPreTokenizer{.add_prefix_space = false}};
    all.emplace_back("SmolLM", Tokenizer(std::move(smollm)));
    TokenizerParts gemma = parts_of("byte_fallback.json");
    gemma.normalizer->steps = {ReplaceNormalizer{Pattern{" ", std::string(" ")}, "\u2581"}};
    gemma.pre_tokenizer.emplace().steps.emplace_back(SplitPreTokenizer{Pattern{" ", std::string(" ")}, SplitBehavior::merged_with_previous});
    all.emplace_back("Gemma", Tokenizer(std::move(gemma)));
    using Prepend = MetaspacePreTokenizer::Prepend;
    for (const Prepend prepend : {Prepend::first, Prepend::always, Prepend::never}) {
        TokenizerParts llama = parts_of("byte_fallback.json");
        llama.normalizer.reset();
        llama.pre_tokenizer.emplace().steps.emplace_back(MetaspacePreTokenizer{.prepend = prepend, .split = false});
        all.emplace_back("Metaspace without split", Tokenizer(std::move(llama)));
        TokenizerParts t5 = parts_of("unigram.json");
        t5.pre_tokenizer->steps = {WhitespaceSplitPreTokenizer{}, MetaspacePreTokenizer{.prepend = prepend}};
        if (prepend == Prepend::always) t5.pre_tokenizer->steps.erase(t5.pre_tokenizer->steps.begin());
        all.emplace_back("Unigram", Tokenizer(std::move(t5)));
    }
    TokenizerParts cased = parts_of("wordpiece.json");
    std::get<BertNormalizer>(cased.normalizer->steps.at(0)) = BertNormalizer{.lowercase = false};
    cased.pre_tokenizer->steps = {PunctuationPreTokenizer{SplitBehavior::contiguous}, WhitespacePreTokenizer{}};
    all.emplace_back("WordPiece, cased", Tokenizer(std::move(cased)));
    TokenizerParts albert = parts_of("sentencepiece");
    std::get<SentencePiece>(albert.model).remove_extra_whitespaces = true;
    all.emplace_back("SentencePiece without extra white space", Tokenizer(std::move(albert)));
    return all;
}

// More, whose texts stay in one section.
std::vector<std::pair<std::string, Tokenizer>> undivided_families() {
    std::vector<std::pair<std::string, Tokenizer>> all;
    TokenizerParts clip = parts_of("byte_level.json");
    clip.added_tokens = {}, clip.post_processors.clear();  // normalized ones are for the plain way
    clip.normalizer.emplace().steps = {UnicodeNormalizer{unicode::NormalForm::nfc}, ReplaceNormalizer{Pattern{"\\s+", ClassRun{.of = ClassRun::Class::white_space, .greedy = true}}, " "}, LowercaseNormalizer{}};
    clip.pre_tokenizer->steps = {SplitPreTokenizer{Pattern{"", split::clip}, SplitBehavior::removed, true}, ByteLevelPreTokenizer{.add_prefix_space = false}};
    all.emplace_back("CLIP", Tokenizer(std::move(clip)));
    TokenizerParts falcon = parts_of("byte_level.json");
    falcon.pre_tokenizer->steps = {PunctuationPreTokenizer{SplitBehavior::contiguous}, ByteLevelPreTokenizer{.add_prefix_space = false}, DigitsPreTokenizer{},
                                   SplitPreTokenizer{Pattern{"", split::three_digits}}};
    all.emplace_back("Falcon", Tokenizer(std::move(falcon)));
    for (const bool individual : {false, true}) {
        TokenizerParts digits = parts_of("unigram.json");
        digits.pre_tokenizer->steps = {DigitsPreTokenizer{individual}, MetaspacePreTokenizer{}};
        all.emplace_back("Unigram with digits", Tokenizer(std::move(digits)));
    }
    return all;
}

std::string growing_text(std::mt19937& random, const Tokenizer& tokenizer, bool ordinary) {
    static const std::vector<std::string> words = {"the", "token", "lowest", "newest", "Grüße", "naïve", "Ελληνικά", "русские", "日本語の文章", "中文的句子", "한국어", "don't", "we've", "1998", "x2", "self.vocab", "a"};
    static const std::vector<std::string> hostile = {"  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "'s", "'LL", "'\u017f", "\u2581", "\u0120", "e\u0301", "\u0301", "\ufb01", "\u00a8", "İ", "\u212b", "ह", "ी", "\u1112\u1161\u11ab", "👩‍🚀", "...", "/", "_",
                                                     "\xff", "\xe4\xb8", "\xf0\x9f", "\u200b", "\ufeff", "\ufffd", "<0x41>", "\0x", "\u2122", "ª"};
    static const std::vector<std::string> between = {" ", " ", " ", " ", ", ", ". ", "。", "、", ",", "(", "\n", ""};
    std::string text;
    const auto& added = tokenizer.added_tokens();
    for (std::size_t n = random() % 60; n > 0; --n) {
        if (!added.empty() && random() % (ordinary ? 30 : 8) == 0) text += added[random() % added.size()].content;
        else if (!ordinary && random() % 3 == 0) text += hostile[random() % hostile.size()];
        else if (!ordinary && random() % 20 == 0) text += std::string(1 + random() % 60, "ax 1\n-"[random() % 6]);
        else text += words[random() % words.size()];
        text += between[random() % between.size()];
    }
    return text;
}

}  // namespace

TEST_CASE("a text in parts has the ids of the whole at any time") {
    std::mt19937 random(11);
    for (const auto& [name, tokenizer] : families()) {
        CAPTURE(name);
        std::size_t settled = 0, bytes = 0;
        for (int i = 0; i < 60; ++i) {
            const std::string text = growing_text(random, tokenizer, i % 2 == 0);
            const EncodeOptions options{.add_special_tokens = i % 3 != 0, .special_tokens_in_text = i % 5 == 0 ? SpecialTokensInText::plain_text : SpecialTokensInText::parse};
            IncrementalEncoder encoder(tokenizer, options);
            std::vector<TokenId> stable;  // must stay the beginning of all that comes
            for (std::size_t at = 0;;) {
                const std::size_t size = std::min(text.size() - at, random() % 4 == 0 ? 1 + random() % 200 : random() % 8);
                encoder.append(std::string_view(text).substr(at, size));
                at += size;
                INFO(text.substr(0, at));
                REQUIRE(encoder.text_bytes() == at);
                if (random() % 3 == 0 || at == text.size()) REQUIRE(encoder.ids() == tokenizer.encode_ids(std::string_view(text).substr(0, at), options));
                const std::vector<TokenId> now(encoder.ids().begin(), encoder.ids().begin() + static_cast<std::ptrdiff_t>(encoder.stable_count()));
                REQUIRE(now.size() >= stable.size());
                REQUIRE(std::equal(stable.begin(), stable.end(), now.begin()));
                stable = now;
                if (at == text.size()) break;
            }
            settled += encoder.stable_bytes(), bytes += text.size();
        }
        if (name != "sentencepiece_rules") CHECK(settled > bytes / 10);  // hostile text and small parts are half of it
        else CHECK(settled == 0);                                        // a character map: nothing is proven
    }
}

TEST_CASE("the fast way gives what the plain one gives, in every family") {
    std::mt19937 random(13);
    auto all = families();
    for (auto& family : undivided_families()) all.push_back(std::move(family));
    for (const auto& [name, tokenizer] : all) {
        CAPTURE(name);
        for (int i = 0; i < 300; ++i) {
            const std::string text = growing_text(random, tokenizer, i % 2 == 0);
            const EncodeOptions options{.add_special_tokens = i % 3 != 0, .special_tokens_in_text = i % 5 == 0 ? SpecialTokensInText::plain_text : SpecialTokensInText::parse};
            INFO(text);
            const Encoding expected = tokenizer.encode_plainly(text, options), got = tokenizer.encode(text, options);
            REQUIRE(tokenizer.encode_ids(text, options) == expected.ids);
            REQUIRE(got.ids == expected.ids);
            REQUIRE(got.tokens == expected.tokens);
            REQUIRE(got.offsets == expected.offsets);
            REQUIRE(got.word_ids == expected.word_ids);
        }
    }
}

TEST_CASE("only the last section of ordinary text is encoded again") {
    for (const auto& [name, tokenizer] : families()) {
        if (name == "sentencepiece_rules") continue;
        CAPTURE(name);
        IncrementalEncoder encoder(tokenizer);
        std::size_t longest = 0;
        for (int i = 0; i < 100; ++i) {
            encoder.append("A token is a small chunk of text, and a tokenizer cuts text into tokens. ");
            longest = std::max(longest, encoder.text_bytes() - encoder.stable_bytes());
        }
        CHECK(longest < 200);
    }
}

TEST_CASE("counts are sizes of encodings, and stop at a limit") {
    std::mt19937 random(12);
    for (const auto& [name, tokenizer] : families()) {
        CAPTURE(name);
        for (int i = 0; i < 17; ++i) {
            std::string text = growing_text(random, tokenizer, i % 2 == 0);
            if (i == 16)
                while (text.size() < 40000) text += growing_text(random, tokenizer, true);  // several sections
            const EncodeOptions options{.add_special_tokens = i % 3 != 0};
            const std::size_t size = tokenizer.encode(text, options).size();
            CHECK(count_tokens(tokenizer, text, options) == size);
            CHECK(count_tokens_up_to(tokenizer, text, size, options) == size);
            if (size > 0) CHECK(!count_tokens_up_to(tokenizer, text, size - 1, options));
            CHECK(!(size > 3 && count_tokens_up_to(tokenizer, text, 3, options)));
        }
    }
}

TEST_CASE("a cut text has no more tokens than allowed, and is no shorter than it must be") {
    std::mt19937 random(13);
    for (const auto& [name, tokenizer] : families()) {
        CAPTURE(name);
        for (int i = 0; i < 33; ++i) {
            std::string text = growing_text(random, tokenizer, i % 2 == 0);
            if (i == 32)
                while (text.size() < 20000) text += growing_text(random, tokenizer, true);
            const EncodeOptions options{.add_special_tokens = i % 3 != 0};
            const Encoding whole = tokenizer.encode(text, options);
            const std::size_t specials = tokenizer.encode("", options).size();
            const std::size_t limit = specials + random() % (whole.size() + 3);
            const std::size_t cut = truncate_to_tokens(tokenizer, text, limit, options);
            INFO(text.substr(0, 2000) << " to " << limit << " gives " << cut);
            REQUIRE(cut <= text.size());
            CHECK(tokenizer.encode_ids(std::string_view(text).substr(0, cut), options).size() <= limit);
            if (whole.size() <= limit) CHECK(cut == text.size());
            if (cut == text.size()) continue;
            CHECK((cut == 0 || unicode::decode(text, unicode::previous_start(text, cut)).size + unicode::previous_start(text, cut) <= cut));
            bool is_end = cut == 0, inside = false, later_fits = false;
            for (std::size_t k = 0, furthest = 0; k < whole.size(); ++k) {
                const Span span = whole.offsets[k];
                is_end = is_end || span.end == cut;
                inside = inside || (span.begin < cut && cut < span.end);
                // The first limit - specials tokens end further on, at a place where all later ones begin?
                furthest = std::max(furthest, span.end);
                bool clean = true;
                for (std::size_t j = k + 1; j < std::min(whole.size(), k + 40); ++j) clean = clean && (whole.special_tokens_mask[j] == 1 || whole.offsets[j].begin >= furthest);
                if (i < 32 && furthest > cut && clean && k < limit && tokenizer.encode_ids(std::string_view(text).substr(0, furthest), options).size() <= limit) later_fits = true;
                if (furthest > cut + 200) break;
            }
            CHECK(is_end);
            CHECK(!inside);
            if (name.find("nigram") == name.npos && name.find("iece") == name.npos) CHECK(!later_fits);  // BPE: no retries
        }
    }
}

TEST_CASE("a file is encoded block by block") {
    const std::filesystem::path path = std::filesystem::temp_directory_path() / ("morsel-stream-" + std::to_string(::getpid()));
    std::mt19937 random(14);
    for (const auto& [name, tokenizer] : families()) {
        CAPTURE(name);
        std::string text;
        while (text.size() < 20000) text += growing_text(random, tokenizer, random() % 4 != 0);
        std::vector<TokenId> ids;
        std::size_t at = 0, calls = 0;
        const auto read = [&](std::span<char> buffer) {
            const std::size_t size = std::min({buffer.size(), text.size() - at, std::size_t{1} + random() % 2000});
            std::copy_n(text.data() + at, size, buffer.data());
            return at += size, size;
        };
        const auto take = [&](std::span<const TokenId> part) { return ids.insert(ids.end(), part.begin(), part.end()), ++calls, true; };
        const std::uint64_t count = encode_stream(tokenizer, read, take);
        CHECK(count == ids.size());
        REQUIRE(ids == tokenizer.encode_ids(text));
        if (name != "sentencepiece_rules") CHECK(calls > 5);
    }
    const Tokenizer tokenizer(parts_of("byte_level.json"));
    std::string text;
    while (text.size() < encode_block_bytes * 3 / 2) text += growing_text(random, tokenizer, true);
    std::ofstream(path, std::ios::binary) << text;
    std::vector<TokenId> ids;
    encode_file(tokenizer, path, [&](std::span<const TokenId> part) { return ids.insert(ids.end(), part.begin(), part.end()), true; });
    CHECK(ids == tokenizer.encode_ids(text));
    std::size_t calls = 0;
    CHECK(encode_file(tokenizer, path, [&](std::span<const TokenId>) { return ++calls, false; }) < ids.size());
    CHECK(calls == 1);
    std::filesystem::remove(path);
    CHECK_THROWS_AS(encode_file(tokenizer, path, [](std::span<const TokenId>) { return true; }), Error);
    CHECK_THROWS_AS(encode_file(tokenizer, path.parent_path(), [](std::span<const TokenId>) { return true; }), Error);
}

TEST_CASE("special tokens in a text are parsed, taken as text, or refused with their place") {
    const Tokenizer tokenizer(parts_of("byte_level.json"));
    const std::string text = "word [MASK] a <s> b";  // only <s> is special
    const auto ids = [&](SpecialTokensInText in_text) { return tokenizer.encode_ids(text, {.special_tokens_in_text = in_text}); };
    const TokenId special = *tokenizer.token_to_id("<s>");
    const auto parsed = ids(SpecialTokensInText::parse), plain = ids(SpecialTokensInText::plain_text);
    CHECK(std::count(parsed.begin(), parsed.end(), special) == 2);  // and the one in front
    CHECK(std::count(plain.begin(), plain.end(), special) == 1);
    const auto refused = [&](auto&& encode, const std::string& token, std::size_t offset) {
        try {
            encode();
            FAIL("not refused");
        } catch (const Error& e) {
            CHECK(e.found() == "'" + token + "' at byte " + std::to_string(offset));
        }
    };
    const EncodeOptions refuse{.special_tokens_in_text = SpecialTokensInText::refuse};
    refused([&] { tokenizer.encode(text, refuse); }, "<s>", 14);
    refused([&] { tokenizer.encode_ids(text, refuse); }, "<s>", 14);
    EncodeOptions pair = refuse;
    pair.text_pair = text;
    refused([&] { tokenizer.encode("fine", pair); }, "<s>", 14);
    CHECK(tokenizer.encode_ids("word [MASK] a", refuse) == tokenizer.encode_ids("word [MASK] a"));
    std::string longer;
    for (int i = 0; i < 1000; ++i) longer += "a small chunk of text, ";
    refused([&] { IncrementalEncoder encoder(tokenizer, refuse); encoder.append(longer), encoder.append("</s>"), encoder.ids(); }, "</s>", longer.size());
    refused([&] { count_tokens(tokenizer, longer + "</s>", refuse); }, "</s>", longer.size());

    // Normalized and stripping ones: the place is that of the token in the text as it was given.
    TokenizerParts parts = parts_of("wordpiece.json");
    parts.added_tokens.add({.content = "Stop", .lstrip = true, .normalized = true, .special = true}, vocabulary_of(parts.model));
    refused([&, other = Tokenizer(parts)] { other.encode("Grüße, \u00a0 STOP it", refuse); }, "Stop", 12);
}
