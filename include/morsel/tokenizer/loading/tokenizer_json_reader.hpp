// Reads the text of a tokenizer.json without ever making a tree of its vocabulary: "model.vocab" and "model.merges", which are
// nearly all of the file, go straight into flat arrays; everything else becomes a small JSON tree.
#pragma once
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/json_scanner.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct TokenizerJson {
    Json tree = nullptr;            // without model.vocab and model.merges
    bool has_vocab = false, has_merges = false;
    bool vocab_is_list = false;     // of [token, score] (Unigram), in order of ids
    Vocabulary vocabulary = {};
    std::vector<double> scores = {};           // [id] where vocab_is_list
    std::string merge_text = {};               // the parts of all merges, one after another
    std::vector<std::size_t> merge_ends = {};  // [2 * merges] where each part ends

    std::size_t merge_count() const noexcept { return merge_ends.size() / 2; }
    std::string_view merge_part(std::size_t i) const noexcept {
        const std::size_t begin = i == 0 ? 0 : merge_ends[i - 1];
        return std::string_view(merge_text).substr(begin, merge_ends[i] - begin);
    }
};

namespace detail {

// A number as the reference reads it: all digits that fit 64 bits as one integer, times or over a power of ten. Its last bit can differ
// from the nearest double's, and decide between two cuts of equal score. `text` is a JSON number; infinite where it is out of range.
inline double reference_number(std::string_view text) {
    std::uint64_t digits = 0;
    std::int64_t exponent = 0;
    bool fraction = false, full = false;
    std::size_t i = text.starts_with('-') ? 1 : 0;
    for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
        if (text[i] == '.') {
            fraction = true;
            continue;
        }
        const auto digit = static_cast<std::uint64_t>(text[i] - '0');
        full = full || digits > (std::numeric_limits<std::uint64_t>::max() - digit) / 10;
        if (!full) digits = digits * 10 + digit, exponent -= fraction;
        else exponent += !fraction;
    }
    if (i < text.size()) {
        const std::size_t sign = text[i + 1] == '+' ? 1 : 0;
        std::int32_t written = 0;
        const auto [end, error] = std::from_chars(text.data() + i + 1 + sign, text.data() + text.size(), written);
        exponent += error == std::errc{} ? written : text[i + 1] == '-' ? -1000000 : 1000000;
    }
    const auto power = [](std::int64_t n) {
        double value = 0;
        const std::string written = "1e" + std::to_string(n);
        std::from_chars(written.data(), written.data() + written.size(), value);
        return value;
    };
    auto value = static_cast<double>(digits);
    for (; exponent < -308 && value != 0; exponent += 308) value /= 1e308;
    if (value != 0) value = exponent > 308 ? std::numeric_limits<double>::infinity() : exponent < 0 ? value / power(-exponent) : value * power(exponent);
    return text.starts_with('-') ? -value : value;
}

// What stands next, checked, for messages.
inline std::string found_here(JsonScanner scan) {
    const std::string_view text = scan.value();
    if (text.starts_with('{')) return "an object";
    if (text.starts_with('[')) return "an array";
    return text.size() > 60 ? std::string(text.substr(0, 57)) + "..." : std::string(text);
}

// The values of "vocab" and "merges", read into flat arrays.
class VocabularyReader {
  public:
    // `key` is the way to the object that holds both, for messages: "model.", or nothing.
    VocabularyReader(JsonScanner& scan, const std::filesystem::path& file, std::string key) : scan_(scan), file_(file), key_(std::move(key)) {}

    // {"token": id, …}
    void object(Vocabulary& out) {
        for (bool first = true; scan_.member(text_, first); scan_.member_done()) {
            const int c = scan_.peek();
            // A number is an id if it is written as one: no sign, no point, no exponent.
            const std::string_view number = c == '-' || (c >= '0' && c <= '9') ? scan_.number() : std::string_view();
            TokenId id = 0;
            const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), id);
            if (number.empty() || error != std::errc{} || end != number.data() + number.size())
                throw bad("['" + text_.substr(0, 60) + "']", "an id below 2^32", number.empty() ? found_here(scan_) : std::string(number.substr(0, 60)));
            out.add(text_, id);
        }
    }

    // [["token", score], …]
    void list(Vocabulary& out, std::vector<double>& scores) {
        for_each_element([&] {
            const std::string place = '[' + std::to_string(scores.size()) + ']', expected = "[token, score]";
            if (scan_.peek() != '[') throw bad(place, expected, found_here(scan_));
            scan_.expect('[');
            if (scan_.peek() != '"') throw bad(place, expected, scan_.peek() == ']' ? "nothing" : found_here(scan_));
            const std::string_view token = scan_.string_in_place(text_);
            if (!scan_.take(',')) throw scan_.peek() == ']' ? bad(place, expected, "fewer parts") : scan_.error("expected ',' or ']'");
            const int c = scan_.peek();
            if (c != '-' && (c < '0' || c > '9')) throw bad(place, expected, found_here(scan_));
            const std::string_view number = scan_.number();
            const double score = reference_number(number);
            if (!std::isfinite(score)) throw bad(place, "[token, finite score]", std::string(number.substr(0, 60)));
            out.add(token, static_cast<TokenId>(scores.size()));
            scores.push_back(score);
            if (!scan_.take(']')) throw scan_.peek() == ',' ? bad(place, expected, "three parts or more") : scan_.error("expected ',' or ']'");
        });
    }

    // ["left right", …] or [["left", "right"], …]
    void merges(TokenizerJson& out) {
        bool strings = false, pairs = false;
        for_each_element([&] {
            const std::size_t parts = out.merge_ends.size();
            const auto fail = [&](std::string expected, std::string found) { return bad('[' + std::to_string(parts / 2) + ']', std::move(expected), std::move(found)); };
            const auto put = [&](std::string_view part) {
                out.merge_text += part;
                out.merge_ends.push_back(out.merge_text.size());
            };
            const int c = scan_.peek();
            if (c == '"') {
                const std::string_view merge = scan_.string_in_place(text_);
                const std::size_t space = merge.find(' ');
                if (space == merge.npos || merge.find(' ', space + 1) != merge.npos) throw fail("two tokens with one space between", "'" + std::string(merge.substr(0, 60)) + "'");
                if (pairs) throw fail("all merges in one form", "a string after an array");
                strings = true;
                put(merge.substr(0, space)), put(merge.substr(space + 1));
            } else if (c == '[') {
                if (strings) throw fail("all merges in one form", "an array after a string");
                pairs = true;
                scan_.expect('[');
                for (int part = 0; part < 2; ++part) {
                    if (scan_.peek() != '"') throw scan_.peek() == ']' ? fail("two tokens", std::to_string(part)) : fail("two tokens", found_here(scan_));
                    put(scan_.string_in_place(text_));
                    if (part == 0 && !scan_.take(',')) throw scan_.peek() == ']' ? fail("two tokens", "1") : scan_.error("expected ',' or ']'");
                }
                if (!scan_.take(']')) throw scan_.peek() == ',' ? fail("two tokens", "three or more") : scan_.error("expected ',' or ']'");
            } else {
                throw fail("a merge of two tokens", found_here(scan_));
            }
        });
    }

  private:
    Error bad(const std::string& place, std::string expected, std::string found) const {
        return Error("wrong value", {.file = file_.string(), .key = key_ + place, .expected = std::move(expected), .found = std::move(found)});
    }
    template <class F> void for_each_element(F&& read) {
        scan_.expect('[');
        if (scan_.take(']')) return;
        do read();
        while (scan_.take(','));
        scan_.expect(']');
    }

    JsonScanner& scan_;
    const std::filesystem::path& file_;
    std::string key_, text_;
};

// What a JSON text must be before it is scanned. Throws Error with line and column.
inline void check_json_text(std::string_view text, const std::filesystem::path& file) {
    if (const std::string guess = seems_to_be(text); !guess.empty()) throw Error("not JSON", {.file = file.string(), .found = guess});
    if (const std::size_t valid = unicode::valid_prefix(text); valid != text.size()) throw Error("not valid JSON: invalid UTF-8", {.file = file.string(), .key = line_and_column(text, valid)});
}

inline Json read_model_object(JsonScanner& scan, const std::filesystem::path& file, TokenizerJson& out) {
    Json model = Json::object();
    std::string key;
    for (bool first = true; scan.member(key, first); scan.member_done()) {
        const auto fail = [&](std::string expected) { return Error("wrong value", {.file = file.string(), .key = "model." + key, .expected = std::move(expected), .found = found_here(scan)}); };
        const bool vocab = key == "vocab";
        if (!vocab && key != "merges") {
            model[key] = parse_json(scan.value(), file);
            continue;
        }
        if (scan.take_null()) continue;  // as good as absent
        const int c = scan.peek();
        VocabularyReader reader(scan, file, "model." + key);
        if (!vocab) {
            if (c != '[') throw fail("an array");
            out.has_merges = true;
            out.merge_text.clear(), out.merge_ends.clear();
            reader.merges(out);
            continue;
        }
        if (c != '{' && c != '[') throw fail("an object or an array");
        out.has_vocab = true;
        out.vocab_is_list = c == '[';
        out.vocabulary = Vocabulary();
        out.scores.clear();
        if (out.vocab_is_list) reader.list(out.vocabulary, out.scores);
        else reader.object(out.vocabulary);
    }
    return model;
}

}  // namespace detail

// Throws Error with line and column for what is no JSON, and with the key for what is no vocabulary or merge.
inline TokenizerJson read_tokenizer_json(std::string_view text, const std::filesystem::path& file) {
    detail::check_json_text(text, file);
    TokenizerJson out;
    detail::JsonScanner scan(text, file);
    if (scan.peek() != '{') {
        out.tree = parse_json(text, file);
        return out;
    }
    out.tree = Json::object();
    std::string key;
    for (bool first = true; scan.member(key, first); scan.member_done()) {
        const bool model = key == "model" && scan.peek() == '{';
        Json value = model ? detail::read_model_object(scan, file, out) : parse_json(scan.value(), file);
        out.tree[key] = std::move(value);
    }
    scan.end();
    out.vocabulary.finish();
    return out;
}

}  // namespace morsel
